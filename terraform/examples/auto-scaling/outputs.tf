output "hello_world" {
  description = "Everything there is to know of the fleet."
  value       = module.hello_world
}
