//! The Auto Scaling API as this program uses it: four calls, our own types, and whether a group can spare an instance.
//!
//! The SDK's retries are off here, too: a hidden retry of EnterStandby could land after an ExitStandby.

use crate::aws::load_balancer::{CallError, failed};
use crate::aws::target_group::{Target, TargetType};
use aws_sdk_autoscaling::Client;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::OnceCell;

type Answer<T> = Result<T, CallError>;
type Connecting = Pin<Box<dyn Future<Output = Client> + Send>>;

/// A client for one region, made when it is first needed: most nodes never ask.
#[derive(Clone)]
pub struct AutoScalingGroups {
    client: Arc<OnceCell<Client>>,
    connect: Arc<dyn Fn() -> Connecting + Send + Sync>,
}

impl std::fmt::Debug for AutoScalingGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutoScalingGroups").finish_non_exhaustive()
    }
}

/// An instance as its group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The group's name.
    pub group: String,
    /// `InService`, `EnteringStandby`, `Standby`, `Pending` and so on.
    pub state: String,
}

impl Member {
    /// In standby, or on the way there.
    pub fn is_leaving_or_out(&self) -> bool {
        matches!(self.state.as_str(), "EnteringStandby" | "Standby")
    }

    /// On the way into service.
    pub fn is_pending(&self) -> bool {
        self.state.starts_with("Pending")
    }
}

/// The properties of a group that decide whether it can spare an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingGroup {
    /// Its name.
    pub name: String,
    /// The minimum number of instances.
    pub min: i32,
    /// The desired capacity.
    pub desired: i32,
    /// The suspended processes.
    pub suspended: Vec<String>,
    /// The target groups in which it registers its instances.
    pub target_groups: Vec<String>,
    /// How many of its instances are in standby, entering it, or leaving it.
    pub in_standby: usize,
}

/// Why an instance cannot be moved to standby.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStandby {
    /// This may change with time.
    #[error("{0}")]
    NotNow(String),
    /// Only a person can change this.
    #[error("{0}")]
    Never(String),
}

/// The refusal when `asg` is not set: a group may replace a node that leaves service, so the owner has to choose.
pub(crate) fn undecided(state: &str) -> String {
    format!(
        "this instance is in an Auto Scaling group (target lifecycle state {state}), which may replace a node that \
         leaves service; choose --asg standby to have the group move it out and back, or --asg ignore if the group has \
         no ELB health check or its processes are suspended"
    )
}

impl ScalingGroup {
    /// Whether this member may be moved to standby and back.
    ///
    /// # Errors
    /// [`NoStandby`] with what to do about it.
    pub fn spares(&self, member: &Member) -> Result<(), NoStandby> {
        let (name, min, desired) = (&self.name, self.min, self.desired);
        if member.is_pending() {
            return Err(NoStandby::NotNow(format!("this instance is {} in {name}", member.state)));
        }
        if member.state != "InService" {
            return Err(NoStandby::Never(format!(
                "the Auto Scaling group {name} reports this instance as {}; only an InService instance can be moved to \
                 standby; move it back first (`aws autoscaling exit-standby`)",
                member.state
            )));
        }
        if self.suspended.iter().any(|process| process == "Launch") {
            return Err(NoStandby::Never(format!(
                "the process Launch of the Auto Scaling group {name} is suspended, so this instance could not leave \
                 standby again; resume it (`aws autoscaling resume-processes --scaling-processes Launch`)"
            )));
        }
        if desired > min {
            return Ok(());
        }
        let why = format!(
            "the Auto Scaling group {name} has a desired capacity of {desired} and a minimum of {min}, so no instance can \
             be moved to standby"
        );
        if self.in_standby > 0 {
            return Err(NoStandby::NotNow(format!("{why} until the instance in standby is back")));
        }
        Err(NoStandby::Never(format!(
            "{why}; raise the desired capacity by one or lower the minimum by one for the window"
        )))
    }
}

impl ScalingGroup {
    /// Whether standby takes a node with these registrations out of this target group.
    ///
    /// # Errors
    /// [`NoStandby::Never`] with what to do about it.
    pub fn moves(
        &self,
        arn: &str,
        name: &str,
        kind: TargetType,
        port: Option<u16>,
        pairs: &[Target],
    ) -> Result<(), NoStandby> {
        let attached = self.target_groups.iter().any(|ours| ours == arn);
        let registered = |pair: &Target| port.is_none_or(|port| pair.port == port);
        if attached && kind == TargetType::Instance && pairs.len() == 1 && pairs.iter().all(registered) {
            return Ok(());
        }
        Err(NoStandby::Never(format!(
            "the Auto Scaling group {} does not move this node in the target group {name}: a group registers an \
             instance by its id, on the port of the target group alone, and only in target groups attached to it; attach the target group, or choose \
             --asg ignore",
            self.name
        )))
    }
}

impl AutoScalingGroups {
    /// Takes a function that makes a client whose retries are off.
    pub fn when_needed<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> AutoScalingGroups
    where
        F: Future<Output = Client> + Send + 'static,
    {
        let connect = move || Box::pin(connect()) as Connecting;
        AutoScalingGroups { client: Arc::default(), connect: Arc::new(connect) }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| (self.connect)()).await
    }

    /// DescribeAutoScalingInstances; `None`: the instance is in no group.
    pub async fn member(&self, instance_id: &str) -> Answer<Option<Member>> {
        let request = self.client().await.describe_auto_scaling_instances().instance_ids(instance_id);
        let answer = request.send().await.map_err(failed("DescribeAutoScalingInstances"))?;
        Ok(answer.auto_scaling_instances().first().map(|instance| Member {
            group: instance.auto_scaling_group_name().unwrap_or_default().to_owned(),
            state: instance.lifecycle_state().unwrap_or_default().to_owned(),
        }))
    }

    /// DescribeAutoScalingGroups of one group; `None`: there is no group of that name.
    pub async fn group(&self, name: &str) -> Answer<Option<ScalingGroup>> {
        let request = self.client().await.describe_auto_scaling_groups().auto_scaling_group_names(name);
        let answer = request.send().await.map_err(failed("DescribeAutoScalingGroups"))?;
        let Some(group) = answer.auto_scaling_groups().first() else { return Ok(None) };
        let suspended = group.suspended_processes().iter().filter_map(|process| process.process_name());
        let states = group.instances().iter().filter_map(|instance| instance.lifecycle_state());
        let moving = states
            .filter(|state| state.as_str().ends_with("Standby") || state.as_str().starts_with("Pending"));
        Ok(Some(ScalingGroup {
            name: name.to_owned(),
            min: group.min_size().unwrap_or_default(),
            desired: group.desired_capacity().unwrap_or_default(),
            suspended: suspended.map(ToOwned::to_owned).collect(),
            target_groups: group.target_group_arns().to_vec(),
            in_standby: moving.count(),
        }))
    }

    /// EnterStandby of one instance; the group does not replace it.
    pub async fn enter_standby(&self, group: &str, instance_id: &str) -> Answer<()> {
        let request = self.client().await.enter_standby().auto_scaling_group_name(group);
        let request = request.instance_ids(instance_id).should_decrement_desired_capacity(true);
        request.send().await.map(drop).map_err(failed("EnterStandby"))
    }

    /// ExitStandby of one instance; the group's desired capacity goes up again.
    pub async fn exit_standby(&self, group: &str, instance_id: &str) -> Answer<()> {
        let request = self.client().await.exit_standby().auto_scaling_group_name(group);
        request.instance_ids(instance_id).send().await.map(drop).map_err(failed("ExitStandby"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> ScalingGroup {
        ScalingGroup {
            name: "fleet".into(),
            min: 2,
            desired: 3,
            suspended: Vec::new(),
            target_groups: Vec::new(),
            in_standby: 0,
        }
    }

    fn refusal(group: &ScalingGroup, state: &str) -> Option<NoStandby> {
        group.spares(&Member { group: "fleet".into(), state: state.into() }).err()
    }

    #[test]
    fn the_minimum_is_never_touched() {
        assert_eq!(refusal(&group(), "InService"), None);
        let full = ScalingGroup { desired: 2, ..group() };
        let Some(NoStandby::Never(why)) = refusal(&full, "InService") else { panic!() };
        assert!(why.contains("raise the desired capacity by one or lower the minimum"), "{why}");
        let waiting = ScalingGroup { in_standby: 1, ..full };
        assert!(matches!(refusal(&waiting, "InService"), Some(NoStandby::NotNow(_))));
    }

    #[test]
    fn an_instance_that_could_not_come_back_is_not_moved_to_standby() {
        let suspended = ScalingGroup { suspended: vec!["Launch".into()], ..group() };
        assert!(matches!(refusal(&suspended, "InService"), Some(NoStandby::Never(_))));
        assert!(matches!(refusal(&group(), "Terminating:Wait"), Some(NoStandby::Never(_))));
        assert!(matches!(refusal(&group(), "Pending"), Some(NoStandby::NotNow(_))));
    }
}
