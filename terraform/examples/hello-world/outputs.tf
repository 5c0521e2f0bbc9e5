output "hello_world" {
  description = "Everything there is to know of the fleet."
  value       = module.hello_world
}

output "url" {
  description = "Where the load balancer answers."
  value       = module.hello_world.url
}
