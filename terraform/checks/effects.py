"""What a planned change does to a fleet, in the words of the table in docs/deploy.md."""

REFUSED, NOTHING, IN_PLACE = "refused", "no effect", "in place"
NEW_INSTANCES, NEXT_MAINTENANCE, INSTALL = "new instances", "next maintenance", "install"
NEW_GROUP, MORE_OR_FEWER, MOVED = "new target group", "more or fewer nodes", "the group moves nodes"
# In the order of the table's cells. In place is left out where the agents play a part.
AGENT = [NEXT_MAINTENANCE, INSTALL, NEW_GROUP]
ORDER = [REFUSED, NOTHING, IN_PLACE, NEW_INSTANCES, *AGENT, MORE_OR_FEWER, MOVED]


class Disturbed(AssertionError):
    """A plan that stops or replaces nodes or the load balancer."""


def resource(address):
    """The address within its module."""
    return address.removeprefix("module.fleet.").removeprefix("module.agent.")


def differing(change):
    """The arguments that an update changes."""
    before, after, unknown = change["before"] or {}, change["after"] or {}, change["after_unknown"] or {}
    return {key for key in {*before, *after, *unknown} if before.get(key) != after.get(key) or unknown.get(key) is True}


def policy(change):
    return {key: tag for key, tag in ((change["after"] or {}).get("tags") or {}).items() if key.startswith("node-agent/")}


def effect_of(address, change, without):
    """The effect of one resource's change, beside the change that the plan without the variable makes to it."""
    name, kind = resource(address), resource(address).split(".")[0]
    replaced = "delete" in change["actions"] and "create" in change["actions"]
    if kind == "aws_lb_target_group":
        if replaced:
            return NEW_GROUP
        return NEXT_MAINTENANCE if policy(change) != policy(without or {"after": change["before"]}) else IN_PLACE
    if kind in ("aws_lb", "aws_autoscaling_group") and "delete" in change["actions"]:
        raise Disturbed(f"{address}: {change['actions']}")
    if kind == "aws_autoscaling_group":
        changed = differing(change) - differing(without or {"before": {}, "after": {}, "after_unknown": {}})
        # Any update makes the provider read capacity_reservation_specification again.
        return MOVED if "vpc_zone_identifier" in changed else NEW_INSTANCES if changed <= {"capacity_reservation_specification", "launch_template"} else IN_PLACE
    if kind == "aws_instance":
        if change["actions"] == ["create"]:
            return NEW_INSTANCES if without else MORE_OR_FEWER
        if change["actions"] == ["update"] and differing(change) <= {"tags", "tags_all", "vpc_security_group_ids"}:
            return IN_PLACE
        raise Disturbed(f"{address}: {change['actions']} for {differing(change)}")
    if kind == "aws_launch_template":
        return NEW_INSTANCES
    return INSTALL if name == 'aws_ssm_document.node_agent["install"]' else IN_PLACE


def effects(baseline, changes):
    """The effects of a plan that the baseline, a plan without the change of the variable, does not have."""
    addresses = [address for address in changes if changes[address] != baseline.get(address)]
    found = {effect_of(address, changes[address], baseline.get(address)) for address in addresses}
    if any(resource(address).startswith("aws_instance.") and changes[address]["actions"] == ["update"] for address in addresses):
        # Running instances change as the new ones do.
        found -= {NEW_INSTANCES}
    if found & set(AGENT):
        # New instances get the settings from their user data.
        found -= {IN_PLACE, NEW_INSTANCES}
    return [effect for effect in ORDER if effect in found] or [NOTHING]
