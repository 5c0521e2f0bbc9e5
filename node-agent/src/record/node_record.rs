//! The record of one node: the maintenance under way, and the last ones that ended.

use super::finished::Finished;
use super::in_doubt::InDoubt;
use super::operation::Operation;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the format below. A record with a higher version is never overwritten.
pub const VERSION: u32 = 2;

/// How many finished operations are kept.
const KEPT: usize = 50;

/// The record on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The format's version.
    pub version: u32,
    /// The instance that it belongs to: an image may carry the record of another one.
    pub instance_id: String,
    /// The region, on record because the metadata service may be late after a boot.
    pub region: String,
    /// How many targets our largest group had when it was last read; 0: never read.
    #[serde(default)]
    pub fleet_seen: usize,
    /// The maintenance under way.
    pub operation: Option<Operation>,
    /// Calls of earlier maintenances that may still take effect: RegisterTargets without an answer, and the calls of a lost
    /// record. The next maintenance waits until they no longer can, before it claims a slot.
    #[serde(default)]
    pub calls_in_doubt: InDoubt,
    /// The last finished maintenances, oldest first.
    pub finished: Vec<Finished>,
}

impl Record {
    /// The finished maintenance of a request.
    pub fn answer(&self, id: &str) -> Option<&Finished> {
        self.finished.iter().rev().find(|finished| finished.answers(id))
    }

    /// The record of a node that has done nothing yet.
    pub fn new(instance_id: &str, region: &str) -> Record {
        Record {
            version: VERSION,
            instance_id: instance_id.to_owned(),
            region: region.to_owned(),
            fleet_seen: 0,
            operation: None,
            calls_in_doubt: InDoubt::default(),
            finished: Vec::new(),
        }
    }

    /// Moves the operation to the finished maintenances.
    pub fn finish(&mut self, operation: &Operation, at: Timestamp) -> Finished {
        let finished = Finished {
            id: operation.request.id.clone(),
            also: operation.also.clone(),
            verdict: operation.verdict(),
            exit_code: operation.exit_code(),
            at,
            reason: operation.reason(),
            turned_back: operation.failure.as_ref().and_then(|failure| failure.turned_back),
            phases: operation.history.clone(),
            boots: operation.boots,
            reboot: operation.reboot.clone(),
        };
        self.finished.push(finished.clone());
        let surplus = self.finished.len().saturating_sub(KEPT);
        self.finished.drain(..surplus);
        self.operation = None;
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::operation::tests::operation;

    #[test]
    fn only_the_last_fifty_are_kept() {
        let mut record = Record::new("i-1", "eu-west-1");
        for number in 0..60 {
            let mut operation = operation();
            operation.request.id = number.to_string();
            record.finish(&operation, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(record.finished.len(), 50);
        assert_eq!(record.finished[0].id, "10");
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let mut record = Record::new("i-1", "eu-west-1");
        record.operation = Some(operation());
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
