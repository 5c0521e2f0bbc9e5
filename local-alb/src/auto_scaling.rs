//! Auto Scaling groups, as far as standby needs them. As on AWS, a call returns at once and takes effect later.

use crate::load_balancer::LocalAlb;
use crate::model::scaling_group::AutoScalingGroup;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time from an acknowledged call until it changes the target groups.
const LAG: Duration = Duration::from_secs(2);

impl LocalAlb {
    /// Creates or replaces a group, as its owner can at any time.
    pub fn set_auto_scaling_group(&self, name: &str, group: AutoScalingGroup) {
        self.scaling_groups().insert(name.to_owned(), group);
    }

    /// The current state of a group.
    pub fn auto_scaling_group(&self, name: &str) -> Option<AutoScalingGroup> {
        self.scaling_groups().get(name).cloned()
    }

    /// UpdateAutoScalingGroup, as far as it changes sizes.
    pub(crate) fn update_auto_scaling_group(
        &self,
        name: &str,
        min: Option<usize>,
        desired: Option<usize>,
    ) -> Result<(), String> {
        let mut groups = self.scaling_groups();
        let group = groups.get_mut(name).ok_or_else(|| not_found(name))?;
        let (min, desired) = (min.unwrap_or(group.min), desired.unwrap_or(group.desired));
        if desired < min {
            return Err(format!(
                "Desired capacity:{desired} must be between the specified min size:{min} and max size"
            ));
        }
        (group.min, group.desired) = (min, desired);
        Ok(())
    }

    /// EnterStandby: all of these instances, or none.
    pub(crate) fn enter_standby(&self, name: &str, ids: &[&str], decrement: bool) -> Result<(), String> {
        let mut groups = self.scaling_groups();
        let group = all_in(&mut groups, name, ids, "InService")?;
        if decrement && group.desired < group.min + ids.len() {
            return Err(format!(
                "AutoScalingGroup {name} has min-size={}, max-size=100, and desired-size={}. To place into standby {} \
                 instance, please update the AutoScalingGroup sizes appropriately.",
                group.min,
                group.desired,
                ids.len()
            ));
        }
        drop(groups);
        ids.iter().try_for_each(|id| self.enter_one(name, id, decrement))
    }

    fn enter_one(&self, name: &str, id: &str, decrement: bool) -> Result<(), String> {
        let mut groups = self.scaling_groups();
        let group = groups.get_mut(name).ok_or_else(|| not_found(name))?;
        group.desired -= usize::from(decrement);
        group.instances.insert(id.to_owned(), "EnteringStandby".to_owned());
        drop(groups);
        let (alb, name, id) = (self.clone(), name.to_owned(), id.to_owned());
        tokio::spawn(async move {
            sleep(LAG).await;
            let delay = alb.take_out(&name, &id);
            sleep(delay).await;
            alb.set_life_cycle(&name, &id, "Standby");
        });
        Ok(())
    }

    /// ExitStandby: all of these instances, or none.
    pub(crate) fn exit_standby(&self, name: &str, ids: &[&str]) -> Result<(), String> {
        let mut groups = self.scaling_groups();
        let group = all_in(&mut groups, name, ids, "Standby")?;
        if group.suspended.contains("Launch") {
            return Err("Cannot exit standby while the process Launch is suspended.".to_owned());
        }
        drop(groups);
        ids.iter().try_for_each(|id| self.exit_one(name, id))
    }

    fn exit_one(&self, name: &str, id: &str) -> Result<(), String> {
        let mut groups = self.scaling_groups();
        let group = groups.get_mut(name).ok_or_else(|| not_found(name))?;
        group.desired += 1;
        group.instances.insert(id.to_owned(), "Pending".to_owned());
        drop(groups);
        let (alb, name, id) = (self.clone(), name.to_owned(), id.to_owned());
        tokio::spawn(async move {
            sleep(LAG).await;
            alb.bring_back(&name, &id);
            alb.set_life_cycle(&name, &id, "InService");
        });
        Ok(())
    }

    /// Deregisters an instance from every attached target group. Returns the longest deregistration delay.
    fn take_out(&self, name: &str, id: &str) -> Duration {
        let Some(group) = self.auto_scaling_group(name) else { return Duration::ZERO };
        let now = Instant::now();
        let (mut pairs, mut longest) = (Vec::new(), Duration::ZERO);
        let mut model = self.model();
        for arn in group.target_groups {
            let Some(group) = model.groups.get(&arn) else { continue };
            longest = longest.max(group.delay());
            let ports = group.targets.iter().filter(|((target, _), t)| target == id && t.is_registered(now));
            pairs.extend(ports.map(|((_, port), _)| (arn.clone(), *port)));
        }
        for (arn, port) in pairs {
            model.deregister(now, &arn, id, port);
        }
        longest
    }

    /// Registers an instance in every attached target group, on the port of the target group: as on AWS, whatever port it
    /// had before.
    fn bring_back(&self, name: &str, id: &str) {
        for arn in self.auto_scaling_group(name).map(|group| group.target_groups).unwrap_or_default() {
            let port = self.model().groups.get(&arn).map(|group| group.settings.port);
            if let Some(port) = port {
                self.register(&arn, id, port);
            }
        }
    }

    fn set_life_cycle(&self, name: &str, id: &str, state: &str) {
        if let Some(group) = self.scaling_groups().get_mut(name) {
            group.instances.insert(id.to_owned(), state.to_owned());
        }
    }
}

fn not_found(name: &str) -> String {
    format!("AutoScalingGroup name not found - {name}")
}

/// The group, if all of these instances are in it and in this state.
fn all_in<'a>(
    groups: &'a mut BTreeMap<String, AutoScalingGroup>,
    name: &str,
    ids: &[&str],
    wanted: &str,
) -> Result<&'a mut AutoScalingGroup, String> {
    let group = groups.get_mut(name).ok_or_else(|| not_found(name))?;
    for id in ids {
        match group.instances.get(*id) {
            Some(state) if state == wanted => (),
            Some(_) => return Err(format!("The instance {id} is not in {wanted}.")),
            None => return Err(format!("The instance {id} is not part of Auto Scaling group {name}.")),
        }
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn a_group_never_wants_fewer_instances_than_its_minimum() {
        let alb = LocalAlb::new(Settings::default());
        let missing = alb.update_auto_scaling_group("fleet", Some(1), None).unwrap_err();
        assert_eq!(missing, "AutoScalingGroup name not found - fleet");
        alb.set_auto_scaling_group(
            "fleet",
            AutoScalingGroup { min: 2, desired: 3, ..AutoScalingGroup::default() },
        );
        let sizes = || alb.auto_scaling_group("fleet").map(|group| (group.min, group.desired));
        for (min, desired) in [(Some(4), None), (None, Some(1))] {
            let refused = alb.update_auto_scaling_group("fleet", min, desired).unwrap_err();
            assert!(refused.contains("must be between the specified min size"), "{refused}");
            assert_eq!(sizes(), Some((2, 3)));
        }
        assert_eq!(alb.update_auto_scaling_group("fleet", Some(3), None), Ok(()));
        assert_eq!(sizes(), Some((3, 3)));
        assert_eq!(alb.update_auto_scaling_group("fleet", Some(1), Some(5)), Ok(()));
        assert_eq!(sizes(), Some((1, 5)));
    }

    #[tokio::test]
    async fn instances_enter_standby_together_or_not_at_all() {
        let alb = LocalAlb::new(Settings::default());
        let instances = ["a", "b", "c"].map(|id| (id.to_owned(), "InService".to_owned())).into();
        alb.set_auto_scaling_group(
            "fleet",
            AutoScalingGroup { min: 1, desired: 3, instances, ..AutoScalingGroup::default() },
        );
        let refused = |ids: &[&str], part: &str| {
            let why = alb.enter_standby("fleet", ids, true).unwrap_err();
            assert!(why.contains(part), "{why}");
            let group = alb.auto_scaling_group("fleet").unwrap();
            assert_eq!(group.desired, 3);
            assert!(group.instances.values().all(|state| state == "InService"), "{group:?}");
        };
        refused(&["a", "b", "c"], "To place into standby 3 instance");
        refused(&["a", "x"], "The instance x is not part of Auto Scaling group fleet");
        assert_eq!(alb.enter_standby("fleet", &["a", "b"], true), Ok(()));
        assert_eq!(alb.auto_scaling_group("fleet").map(|group| group.desired), Some(1));
        let why = alb.enter_standby("fleet", &["a"], false).unwrap_err();
        assert_eq!(why, "The instance a is not in InService.");
        assert_eq!(alb.enter_standby("fleet", &["c"], false), Ok(()));
        assert_eq!(alb.auto_scaling_group("fleet").map(|group| group.desired), Some(1));
    }
}
