//! What EC2 says of instances, asked through the AWS CLI: one question that an operator asks now and then is not worth
//! an SDK many times the size of this program.

use crate::machine::program::{self, NotEnded};
use std::collections::BTreeMap;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

/// No answer takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// What is asked for: id, state, and what brought it there, with the time in parentheses.
const QUERY: &str = "Reservations[].Instances[].[InstanceId,State.Name,StateTransitionReason]";

/// What has become of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// For so long that no request of its agent can still land.
    Terminated,
    /// Not for long enough, or EC2 does not say since when.
    TerminatedLately,
    /// EC2 has never heard of it, has forgotten it (an hour or so after its end), or it is another region's or account's.
    NotListed,
    /// It is in this state, and may come back.
    Lives(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Terminated => f.write_str("terminated"),
            Fate::TerminatedLately => f.write_str("terminated, but not certainly for long enough"),
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
    /// The CLI said no.
    #[error("failed to ask EC2: `aws` ended with {code}: {said}")]
    Refused {
        /// What it ended with.
        code: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// The answer is not what the query asks for.
    #[error("failed to read what `aws` said about the instances: {0}")]
    Answer(serde_json::Error),
}

/// The arguments of the AWS CLI. A filter, as EC2 answers a question by ids with an error when it has forgotten one.
pub fn arguments(region: &str, ids: &[&str]) -> Vec<String> {
    let filter = format!("Name=instance-id,Values={}", ids.join(","));
    let words = ["ec2", "describe-instances", "--region", region, "--filters", &filter, "--query", QUERY];
    words.iter().chain(&["--output", "json"]).map(ToString::to_string).collect()
}

/// What has become of each of these instances; `quarantine` is how long one has to be terminated to count as such.
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
    fn only_who_has_been_terminated_for_long_is() {
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
    fn who_is_not_listed_is_not_known_to_be_terminated() {
        let now = jiff::Timestamp::now();
        let fates = read(b"[]", &["i-1"], now, QUARANTINE).unwrap();
        assert_eq!(fates, BTreeMap::from([("i-1".to_owned(), Fate::NotListed)]));
        for answer in ["", "{}", "[[\"i-1\"]]", "null"] {
            assert!(read(answer.as_bytes(), &["i-1"], now, QUARANTINE).is_err(), "{answer}");
        }
    }
}
