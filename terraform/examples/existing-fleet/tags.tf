# Commands, because the target groups and the instances belong to others, and the provider has no resource for one tag of a
# target group.
locals {
  fleet_tag = "Key=${module.agent.fleet_tag.key},Value=${module.agent.fleet_tag.value}"

  tag_groups = [
    for arn in var.target_group_arns :
    "aws elbv2 add-tags --region ${var.region} --resource-arns ${arn} --tags ${join(" ", [for key, value in module.agent.target_group_tags : "Key=${key},Value=${value}"])}"
  ]

  # New instances of an Auto Scaling group get their tags from the group, running ones do not.
  tag_new_instances = var.auto_scaling_group_name == null ? [] : [
    "aws autoscaling create-or-update-tags --region ${var.region} --tags ResourceId=${var.auto_scaling_group_name},ResourceType=auto-scaling-group,${local.fleet_tag},PropagateAtLaunch=true"
  ]

  lists_of_instances = (
    length(var.instance_ids) > 0 ? [join(" ", var.instance_ids)] :
    var.auto_scaling_group_name != null ? ["$(aws autoscaling describe-auto-scaling-groups --region ${var.region} --auto-scaling-group-names ${var.auto_scaling_group_name} --query 'AutoScalingGroups[].Instances[].InstanceId' --output text)"] :
    [for arn in var.target_group_arns : "$(aws elbv2 describe-target-health --region ${var.region} --target-group-arn ${arn} --query 'TargetHealthDescriptions[].Target.Id' --output text)"]
  )

  tag_instances = concat(local.tag_new_instances, [
    for ids in local.lists_of_instances : "aws ec2 create-tags --region ${var.region} --tags ${local.fleet_tag} --resources ${ids}"
  ])
}
