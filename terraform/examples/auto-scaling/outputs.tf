output "hello_world" {
  description = "All outputs of the fleet."
  value       = module.hello_world
}
