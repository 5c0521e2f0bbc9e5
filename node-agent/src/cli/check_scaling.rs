//! `check --start` in an Auto Scaling group: whether the group could move this node to standby now. Changes nothing.

use crate::agent::gather::{self, Node};
use crate::aws::auto_scaling::{Member, NoStandby, ScalingGroup, undecided};
use crate::aws::load_balancer::CallError;
use crate::aws::own_groups::Membership;
use crate::cli::findings::Against;
use crate::settings::{AutoScaling, Settings};
use std::time::Duration;

/// Shorter than the limit of the whole check: a slow Auto Scaling API is named, and the other findings are printed.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The group that would move this node, and its view of the node. `None`: no group is involved.
///
/// # Errors
/// Why `maintain` would not start, or why that is unknown.
pub(super) async fn ask(node: &Node, settings: &Settings) -> Result<Option<(Member, ScalingGroup)>, Against> {
    match (settings.asg, &node.identity.auto_scaling) {
        (AutoScaling::Standby, _) => (),
        (AutoScaling::Refuse, Some(state)) => return Err(Against::lasting(undecided(state))),
        (AutoScaling::Refuse | AutoScaling::Ignore, _) => return Ok(None),
    }
    let too_long = || {
        format!(
            "cannot tell: no answer within {} s from the Auto Scaling API; check the network, and \
             AWS_ENDPOINT_URL_AUTO_SCALING if it is set",
            ANSWER_WITHIN.as_secs()
        )
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, member_and_group(node, settings)).await;
    match answer.map_err(|_| too_long())?.map_err(|error| Against::from(&error))? {
        Some((member, None)) => {
            Err(format!("the Auto Scaling group {} is not listed yet; try again", member.group).into())
        }
        Some((member, Some(group))) => Ok(Some((member, group))),
        None => Ok(None),
    }
}

async fn member_and_group(
    node: &Node,
    settings: &Settings,
) -> Result<Option<(Member, Option<ScalingGroup>)>, CallError> {
    let api = gather::auto_scaling(settings, &node.region);
    let Some(member) = api.member(&node.identity.instance_id).await? else { return Ok(None) };
    let group = api.group(&member.group).await?;
    Ok(Some((member, group)))
}

/// Why `maintain` would not take this node out of these target groups now.
pub(super) fn reason(
    asked: Result<Option<(Member, ScalingGroup)>, Against>,
    found: &[Membership],
) -> Option<Against> {
    let (member, group) = match asked {
        Ok(asked) => asked?,
        Err(why) => return Some(why),
    };
    let spared = group.spares(&member).and_then(|()| {
        found.iter().try_for_each(|ours| {
            let theirs = &ours.group;
            group.moves(&theirs.arn, &theirs.name, theirs.target_type, theirs.port, &ours.pairs())
        })
    });
    match spared {
        Ok(()) => None,
        Err(NoStandby::NotNow(why)) => Some(format!("{why}; `maintain` would wait").into()),
        Err(NoStandby::Never(why)) => Some(Against::lasting(why)),
    }
}
