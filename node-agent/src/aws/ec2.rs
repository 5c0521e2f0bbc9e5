//! What EC2 reports about instances, asked through the AWS CLI: one question that operators ask now and then does not
//! justify another SDK, which is many times the size of this program.

use crate::machine::program::{self, NotEnded};
use std::collections::BTreeMap;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

/// How long `aws` may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The fields of each instance: id, state, and the reason for the state, with its time in parentheses.
const QUERY: &str = "Reservations[].Instances[].[InstanceId,State.Name,StateTransitionReason]";

/// What has become of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// For so long that no request of its agent can still take effect.
    Terminated,
    /// Too recently, or EC2 does not report when.
    TerminatedLately,
    /// EC2 does not know it, has forgotten it (about an hour after it was terminated), or it belongs to another region or
    /// account.
    NotListed,
    /// In this state; it may come back.
    Lives(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Terminated => f.write_str("terminated"),
            Fate::TerminatedLately => f.write_str("terminated, possibly too recently"),
            Fate::NotListed => f.write_str("not listed by EC2"),
            Fate::Lives(state) => f.write_str(state),
        }
    }
}

/// Why EC2 could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// There is no AWS CLI, or it took too long.
    #[error("failed to run `aws`: {0}")]
    NotRun(#[from] NotEnded),
    /// The CLI failed.
    #[error("failed to ask EC2: `aws` failed with {code}: {said}")]
    Refused {
        /// Its exit status.
        code: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// The answer is not what the query asks for.
    #[error("failed to read the output of `aws ec2 describe-instances`: {0}")]
    Answer(serde_json::Error),
}

/// The arguments of the AWS CLI. They use a filter, because EC2 answers `--instance-ids` with an error once it has
/// forgotten one of the instances.
pub fn arguments(region: &str, ids: &[&str]) -> Vec<String> {
    let filter = format!("Name=instance-id,Values={}", ids.join(","));
    let words = ["ec2", "describe-instances", "--region", region, "--filters", &filter, "--query", QUERY];
    words.iter().chain(&["--output", "json"]).map(ToString::to_string).collect()
}

/// What has become of each of these instances. One counts as terminated once it has been so for `quarantine`.
///
/// # Errors
/// [`Ec2Error`]; nothing is known then.
pub async fn fates(
    region: &str,
    ids: &[&str],
    quarantine: Duration,
) -> Result<BTreeMap<String, Fate>, Ec2Error> {
    let mut aws = program::command(&["aws"]);
    aws.args(arguments(region, ids)).env("AWS_PAGER", "").stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = program::run(&mut aws, "", LIMIT).await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Ec2Error::Refused { code: output.status.to_string(), said });
    }
    read(&output.stdout, ids, jiff::Timestamp::now(), quarantine)
}

fn read(
    answer: &[u8],
    ids: &[&str],
    now: jiff::Timestamp,
    quarantine: Duration,
) -> Result<BTreeMap<String, Fate>, Ec2Error> {
    let listed: Vec<(String, String, Option<String>)> =
        serde_json::from_slice(answer).map_err(Ec2Error::Answer)?;
    let fate = |id: &str| {
        let Some((_, state, reason)) = listed.iter().find(|(listed, ..)| listed == id) else {
            return Fate::NotListed;
        };
        if state != "terminated" {
            return Fate::Lives(state.clone());
        }
        let since = reason.as_deref().and_then(moment);
        let long_ago = since.is_some_and(|since| now.duration_since(since) >= signed(quarantine));
        if long_ago { Fate::Terminated } else { Fate::TerminatedLately }
    };
    Ok(ids.iter().map(|id| ((*id).to_owned(), fate(id))).collect())
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

/// The time in `User initiated (2026-11-24 02:04:52 GMT)`.
fn moment(reason: &str) -> Option<jiff::Timestamp> {
    let (_, rest) = reason.rsplit_once('(')?;
    let (time, zone) = rest.strip_suffix(')')?.rsplit_once(' ')?;
    if !matches!(zone, "GMT" | "UTC") {
        return None;
    }
    format!("{}Z", time.replace(' ', "T")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARANTINE: Duration = Duration::from_secs(900);

    fn fate(state: &str, reason: &str) -> Fate {
        let answer = serde_json::json!([["i-1", state, reason], ["i-2", "running", null]]).to_string();
        let now = "2026-11-24T03:00:00Z".parse().unwrap();
        read(answer.as_bytes(), &["i-1"], now, QUARANTINE).unwrap().remove("i-1").unwrap()
    }

    #[test]
    fn only_an_instance_terminated_for_the_whole_quarantine_counts_as_terminated() {
        assert_eq!(fate("terminated", "User initiated (2026-11-24 02:45:00 GMT)"), Fate::Terminated);
        assert_eq!(fate("terminated", "User initiated (2026-11-24 02:45:01 GMT)"), Fate::TerminatedLately);
        assert_eq!(fate("terminated", "User initiated (2026-11-24 04:00:00 GMT)"), Fate::TerminatedLately);
        assert_eq!(
            fate("stopped", "User initiated (2026-11-20 02:45:00 GMT)"),
            Fate::Lives("stopped".into())
        );
    }

    #[test]
    fn a_time_that_cannot_be_read_is_not_long_ago() {
        for reason in
            ["", "Server.SpotInstanceTermination", "(2026-11-20 02:45:00 CET)", "(yesterday GMT)", "()"]
        {
            assert_eq!(fate("terminated", reason), Fate::TerminatedLately, "{reason}");
        }
    }

    #[test]
    fn an_instance_that_is_not_listed_is_not_known_to_be_terminated() {
        let now = jiff::Timestamp::now();
        let fates = read(b"[]", &["i-1"], now, QUARANTINE).unwrap();
        assert_eq!(fates, BTreeMap::from([("i-1".to_owned(), Fate::NotListed)]));
        for answer in ["", "{}", "[[\"i-1\"]]", "null"] {
            assert!(read(answer.as_bytes(), &["i-1"], now, QUARANTINE).is_err(), "{answer}");
        }
    }
}
