//! Which maintenance the id of a script stands for, when the script runs again.
//!
//! After a reboot that a script has asked for, the SSM agent runs it again and expects the answer of the same maintenance.
//! An association sends the same id every week, and expects new work each time.

use crate::record::answered::{Answered, Claim};
use crate::record::finished::Finished;
use crate::record::node_record::Record;
use crate::record::operation::Operation;
use crate::record::phase::Stage;
use crate::record::request::Request;

/// The id of a script under the SSM agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptId {
    /// From the command or the association, the work, and the run if it is known ([`Request::script_id`]).
    pub id: String,
    /// Whether no other run has this id.
    pub of_one_run: bool,
}

impl ScriptId {
    /// The number of the maintenance that an id on record stands for, if it is of this script. From the second one on, the
    /// number is at the end of the id.
    fn number(&self, on_record: &str) -> Option<u32> {
        match on_record.strip_prefix(&self.id)? {
            "" => Some(1),
            rest => rest.strip_prefix('-')?.parse().ok(),
        }
    }

    fn numbered(&self, number: u32) -> String {
        if number <= 1 { self.id.clone() } else { format!("{}-{number}", self.id) }
    }
}

impl Record {
    /// The id of the maintenance that a script asks for: one under way, or a finished one whose verdict it is to hear, or
    /// else one that is new. A script that was run again after its own reboot uses up its answer here, and only once.
    ///
    /// A `drain` never hears of the past: its caller expects the node to be out.
    pub fn meant_by(
        &self,
        script: &ScriptId,
        request: &Request,
        boot_id: &str,
        answered: &Answered,
    ) -> String {
        let of_script = |id: &&str| script.number(id).is_some();
        if let Some(operation) = &self.operation
            && let Some(id) = operation.ids().find(of_script)
            && !(request.stay_out && operation.phase.stage() == Stage::Returning)
        {
            let comes_after =
                operation.reboot.as_ref().is_some_and(|asked| asked.comes_right_before(boot_id));
            if comes_after && !script.of_one_run {
                use_up(answered, &operation.request.id, boot_id, id);
            }
            return id.to_owned();
        }
        let last = self.finished.iter().rev().find_map(|finished| {
            let id = finished.ids().find(of_script)?;
            Some((finished, id))
        });
        if let Some((finished, id)) = last
            && !request.stay_out
            && (script.of_one_run || is_owed(finished, id, boot_id, answered))
        {
            return id.to_owned();
        }
        let under_way = self.operation.iter().flat_map(Operation::ids);
        let on_record = self.finished.iter().flat_map(Finished::ids).chain(under_way);
        let last = on_record.filter_map(|id| script.number(id)).max().unwrap_or(0);
        script.numbered(last.saturating_add(1))
    }
}

/// Whether a finished maintenance still owes the script its verdict: the script has answered 194, this is the boot that
/// came next, and it has not been run again in it before.
fn is_owed(finished: &Finished, id: &str, boot_id: &str, answered: &Answered) -> bool {
    let Some(asked) = finished.reboot.as_ref().filter(|asked| asked.comes_right_before(boot_id)) else {
        return false;
    };
    let its_own = answered.by(&finished.id, &asked.at.boot_id).is_some_and(|other| other == id);
    its_own && use_up(answered, &finished.id, boot_id, id)
}

/// Notes that the script was run again in this boot. False: it was before, or that cannot be told.
fn use_up(answered: &Answered, operation: &str, boot_id: &str, id: &str) -> bool {
    match answered.claim(operation, boot_id, id) {
        Ok(claim) => claim == Claim::First,
        Err(error) => {
            tracing::warn!("failed to note that {id} was run again after its reboot: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::time::Moment;
    use crate::record::RebootAsked;
    use crate::record::operation::tests::operation;
    use crate::record::phase::Phase;
    use crate::settings::Settings;
    use jiff::Timestamp;

    /// A node, with the files beside its record.
    struct Node {
        dir: tempfile::TempDir,
        record: Record,
    }

    fn node() -> Node {
        Node { dir: tempfile::tempdir().unwrap(), record: Record::new("i-1", "eu-west-1") }
    }

    fn script(of_one_run: bool) -> ScriptId {
        ScriptId { id: "c.work".into(), of_one_run }
    }

    impl Node {
        fn answered(&self) -> Answered {
            Answered::beside(self.dir.path())
        }

        fn meant(&self, of_one_run: bool, stay_out: bool, boot_id: &str) -> String {
            let request = Request { stay_out, ..Request::new(String::new(), Settings::default()) };
            self.record.meant_by(&script(of_one_run), &request, boot_id, &self.answered())
        }

        /// One that has asked for its reboot in boot a, and was answered for by its script.
        fn rebooting(&mut self, id: &str) {
            let mut asked = operation();
            asked.request.id = id.into();
            asked.phase = Phase::Reboot;
            let at = Moment { boot_id: "a".into(), ..asked.began.clone() };
            asked.reboot = Some(RebootAsked { at, times: 1, next_boot: None });
            self.answered().claim(id, "a", id).unwrap();
            self.record.operation = Some(asked);
        }

        fn boots(&mut self, boot_id: &str) {
            let now = Moment { boot_id: boot_id.into(), ..operation().began };
            self.record.operation.as_mut().unwrap().apply_restart(&now).unwrap();
        }

        fn finishes(&mut self) {
            let done: Operation = self.record.operation.take().unwrap();
            self.record.finish(&done, Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn the_run_after_its_own_reboot_means_the_same_maintenance_and_the_next_one_a_new_one() {
        for over in [false, true] {
            let mut node = node();
            assert_eq!(node.meant(false, false, "a"), "c.work");
            node.rebooting("c.work");
            assert_eq!(node.meant(false, false, "a"), "c.work", "run again before the machine is down");
            node.boots("b");
            if over {
                node.finishes();
            }
            assert_eq!(node.meant(false, false, "b"), "c.work", "the second run");
            if !over {
                node.finishes();
            }
            assert_eq!(node.meant(false, false, "b"), "c.work-2", "a week later, in the same boot");
            assert_eq!(node.meant(false, false, "c"), "c.work-2", "a week later, in another boot");
        }
    }

    #[test]
    fn the_second_run_may_come_before_the_driver_has_seen_the_boot() {
        let mut node = node();
        node.rebooting("c.work");
        assert_eq!(node.meant(false, false, "b"), "c.work");
        node.boots("b");
        node.finishes();
        assert_eq!(node.meant(false, false, "b"), "c.work-2");
    }

    #[test]
    fn a_maintenance_that_did_not_answer_194_owes_nobody_its_verdict() {
        let mut node = node();
        node.rebooting("c.work");
        let another = node.dir.path().join("answered-cwork-a");
        std::fs::write(another, "d.work").unwrap();
        node.boots("b");
        node.finishes();
        assert_eq!(node.meant(false, false, "b"), "c.work-2");
    }

    #[test]
    fn in_a_later_boot_nobody_is_owed_the_verdict() {
        let mut node = node();
        node.rebooting("c.work");
        node.boots("b");
        node.boots("c");
        node.finishes();
        assert_eq!(node.meant(false, false, "c"), "c.work-2");
    }

    #[test]
    fn the_id_of_one_run_means_the_same_maintenance_for_ever() {
        let mut node = node();
        node.rebooting("c.work");
        node.boots("b");
        node.finishes();
        for boot in ["b", "b", "c"] {
            assert_eq!(node.meant(true, false, boot), "c.work");
        }
    }

    #[test]
    fn a_drain_never_hears_of_the_past() {
        for of_one_run in [false, true] {
            let mut node = node();
            node.rebooting("c.work");
            assert_eq!(node.meant(of_one_run, true, "a"), "c.work");
            node.boots("b");
            assert_eq!(node.record.operation.as_ref().unwrap().phase, Phase::CheckHealth);
            assert_eq!(node.meant(of_one_run, true, "b"), "c.work-2", "it comes back");
            node.finishes();
            assert_eq!(node.meant(of_one_run, true, "b"), "c.work-2", "it is back");
        }
    }

    #[test]
    fn the_ids_of_other_scripts_are_not_its_own() {
        let script = script(false);
        let numbers = ["c.work", "c.work-2", "c.work-12", "c.work.af63", "c.work-x", "c.wor", "d.work"]
            .map(|id| script.number(id));
        assert_eq!(numbers, [Some(1), Some(2), Some(12), None, None, None, None]);
    }
}
