//! The search for target groups: those that are named, or all that are tagged as managed.
//!
//! Nothing in the API finds groups by their tags. An account with 1,200 target groups needs 64 calls, which is more than
//! the account's bucket holds (40 calls, 10 more each second, and shared with everything else in the account). So the
//! search keeps what it has read: after a call that was throttled, the next attempt continues there.

use crate::aws::load_balancer::{CallError, LoadBalancer, MOST_ASKED, Unsupported, unexpected};
use crate::aws::target_group::TargetGroup;
use rand::RngExt;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::JoinSet;

/// The tag that marks target groups to manage when none is named.
pub const MANAGED: &str = "node-agent/managed";

/// The most pages of target groups that are read: 40,000 groups, where an account may have 3,000 in a region.
const MOST_PAGES: u32 = 100;

/// Calls of DescribeTags at a time. `check` has five seconds for its answer.
const CALLS_AT_A_TIME: usize = 8;

/// Attempts of [`patiently`], and the longest pause between two. Together at most 20 s.
const ATTEMPTS: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) type Described = Result<TargetGroup, Unsupported>;
type Tags = BTreeMap<String, String>;

/// A search, and what it has read so far.
#[derive(Debug)]
pub struct Search {
    named: Vec<String>,
    read: Mutex<Read>,
}

#[derive(Debug, Default, Clone)]
struct Read {
    groups: Vec<Described>,
    pages: u32,
    next_page: Option<String>,
    all_pages: bool,
    /// The tags of each group, by ARN; `None`: the group was deleted meanwhile.
    tags: BTreeMap<String, Option<Tags>>,
}

impl Search {
    /// A search for these groups; for those that are tagged as managed if there are none.
    pub fn of(named: &[String]) -> Search {
        Search { named: named.to_vec(), read: Mutex::default() }
    }

    /// The names or ARNs that were given.
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// The named groups that exist, or all that are tagged as managed, in the order of their ARNs, each once.
    pub(super) async fn described(&self, load_balancer: &LoadBalancer) -> Result<Vec<Described>, CallError> {
        let mut groups = if self.named.is_empty() {
            let mut read = self.read.lock().map(|read| read.clone()).unwrap_or_default();
            let answer = read.go_on(load_balancer).await;
            let managed = answer.is_ok().then(|| read.managed());
            if let Ok(mut kept) = self.read.lock() {
                *kept = read;
            }
            answer?;
            managed.unwrap_or_default()
        } else {
            load_balancer.target_groups(&self.named).await?
        };
        groups.sort_by(|a, b| arn(a).cmp(arn(b)));
        groups.dedup_by(|a, b| arn(a) == arn(b));
        Ok(groups)
    }
}

impl Read {
    /// Reads what is missing. What was read is kept on an error, too.
    async fn go_on(&mut self, load_balancer: &LoadBalancer) -> Result<(), CallError> {
        while !self.all_pages {
            if self.pages == MOST_PAGES {
                return Err(unexpected("DescribeTargetGroups", &format!("more than {MOST_PAGES} pages")));
            }
            let (groups, next) = load_balancer.page_of_target_groups(self.next_page.clone()).await?;
            self.groups.extend(groups);
            self.pages += 1;
            self.all_pages = next.is_none();
            self.next_page = next;
        }
        let missing = self.groups.iter().map(arn).filter(|arn| !self.tags.contains_key(*arn));
        let missing: Vec<_> = missing.map(ToOwned::to_owned).collect();
        for some in missing.chunks(MOST_ASKED * CALLS_AT_A_TIME) {
            let mut calls = JoinSet::new();
            for arns in some.chunks(MOST_ASKED) {
                let (load_balancer, arns) = (load_balancer.clone(), arns.to_vec());
                calls.spawn(async move { tags_of(&load_balancer, &arns).await });
            }
            let mut failed = None;
            for answer in calls.join_all().await {
                match answer {
                    Ok(tags) => self.tags.extend(tags),
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    fn managed(&self) -> Vec<Described> {
        let value = |arn: &str| self.tags.get(arn)?.as_ref()?.get(MANAGED);
        for (arn, value) in self.groups.iter().map(arn).filter_map(|arn| Some((arn, value(arn)?))) {
            if value != "true" && value.eq_ignore_ascii_case("true") {
                tracing::warn!(
                    "{arn} has the tag {MANAGED}={value}, which does not count; write it as `true`"
                );
            }
        }
        let managed = |group: &&Described| value(arn(group)).is_some_and(|value| value == "true");
        self.groups.iter().filter(managed).cloned().collect()
    }
}

/// The tags of these groups. One that was deleted since it was described fails the call for all of them.
async fn tags_of(
    load_balancer: &LoadBalancer,
    arns: &[String],
) -> Result<Vec<(String, Option<Tags>)>, CallError> {
    match load_balancer.tags(arns).await {
        Err(error) if error.is_group_gone() => (),
        answer => return Ok(answer?.into_iter().map(|(arn, tags)| (arn, Some(tags))).collect()),
    }
    let mut found = Vec::new();
    for arn in arns {
        let tags = match load_balancer.tags(std::slice::from_ref(arn)).await {
            Err(error) if error.is_group_gone() => None,
            answer => answer?.remove(arn),
        };
        found.push((arn.clone(), tags));
    }
    Ok(found)
}

/// Repeats a read that was throttled, for a caller that has no retries of its own.
///
/// # Errors
/// Any other failure at once; the throttling after 20 attempts.
pub async fn patiently<T, E: Throttled>(call: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
    let mut attempts = 1;
    loop {
        match call().await {
            Err(error) if error.is_throttled() && attempts < ATTEMPTS => attempts += 1,
            answer => return answer,
        }
        tokio::time::sleep(pause()).await;
    }
}

/// The pause after a call that was throttled. Random, so that the nodes of a fleet do not synchronize.
pub(crate) fn pause() -> Duration {
    LONGEST_PAUSE.mul_f64(rand::rng().random_range(0.3..=1.0))
}

/// An error that may say that a call was throttled.
pub trait Throttled {
    /// The call was throttled.
    fn is_throttled(&self) -> bool;
}

impl Throttled for CallError {
    fn is_throttled(&self) -> bool {
        CallError::is_throttled(self)
    }
}

fn arn(group: &Described) -> &str {
    match group {
        Ok(group) => &group.arn,
        Err(unsupported) => &unsupported.arn,
    }
}
