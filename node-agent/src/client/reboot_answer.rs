//! Exit code 194, which asks the SSM agent for the reboot: one script answers with it, however many wait.

use crate::agent::failure::Complaint;
use crate::client::end::End;
use crate::exit;
use crate::machine::systemd::GoingDown;
use crate::record::{Answered, Claim, Operation};
use std::path::Path;

/// Stands for the maintenance while there is none on record.
const NONE: &str = "none";

/// The end for a script when the reboot of this maintenance is to be asked for. The SSM agent makes one reboot for each
/// 194: the second one while the node is back in service.
pub(crate) fn asks(
    state_dir: &Path,
    operation: Option<&Operation>,
    boot_id: &str,
    script: &str,
) -> Result<End, Complaint> {
    let operation_id = operation.map_or(NONE, |operation| &operation.request.id);
    let another = match Answered::beside(state_dir).claim(operation_id, boot_id, script) {
        Ok(Claim::First | Claim::Again) => return Ok(End::RebootAsked),
        Ok(Claim::Another(another)) => another,
        Err(error) => {
            tracing::warn!("failed to note in {} who answers with 194: {error}", state_dir.display());
            // Without the file, the script that began the maintenance answers.
            if operation.is_none_or(|operation| operation.request.id == script) {
                return Ok(End::RebootAsked);
            }
            operation_id.to_owned()
        }
    };
    Err(Complaint::new(
        exit::NOTHING_CHANGED,
        anyhow::anyhow!(
            "another command ({another}) has asked the SSM agent for the reboot of this node; the maintenance continues \
             after it (`node-agent status` shows how it ends)"
        ),
    ))
}

/// The end when the driver cannot be started because the machine is going down. After a reboot, the SSM agent runs the
/// script again; after a power-off, nobody knows when.
pub(crate) fn goes_down(
    how: GoingDown,
    state_dir: &Path,
    operation: Option<&Operation>,
    boot_id: &str,
    script: Option<&str>,
) -> Result<End, Complaint> {
    if let (GoingDown::Reboot, Some(script)) = (how, script) {
        return asks(state_dir, operation, boot_id, script);
    }
    let next = match operation {
        Some(_) => "the next boot continues the maintenance",
        None => "nothing was started",
    };
    Err(Complaint::new(exit::NOTHING_CHANGED, anyhow::anyhow!("the machine is going down: {next}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::time::Moment;
    use crate::record::Request;
    use crate::settings::Settings;
    use jiff::Timestamp;

    fn operation() -> Operation {
        let now = Moment { boot_id: "a".into(), uptime_ms: 1, utc: Timestamp::UNIX_EPOCH };
        Operation::new(Request::new("one".into(), Settings::default()), now)
    }

    fn code(end: Result<End, Complaint>) -> u8 {
        match end {
            Ok(End::RebootAsked) => exit::REBOOT,
            Ok(end) => panic!("{end:?}"),
            Err(complaint) => complaint.exit_code,
        }
    }

    #[test]
    fn one_script_asks_for_the_reboot_and_may_ask_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut operation, scripts) = (operation(), ["two", "one", "two"]);
        operation.also.push("two".into());
        let asked = scripts.map(|script| code(asks(dir.path(), Some(&operation), "a", script)));
        assert_eq!(asked, [194, 75, 194]);
        let error = asks(dir.path(), Some(&operation), "a", "one").unwrap_err();
        assert!(error.error.to_string().contains("another command (two)"), "{}", error.error);
    }

    #[test]
    fn where_nothing_can_be_written_the_script_that_began_asks() {
        let missing = Path::new("/nonexistent");
        let asked = ["two", "one"].map(|script| code(asks(missing, Some(&operation()), "a", script)));
        assert_eq!(asked, [75, 194]);
    }

    #[test]
    fn a_script_that_cannot_start_the_driver_asks_only_if_the_machine_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let ends = |how, script| code(goes_down(how, dir.path(), None, "a", script));
        assert_eq!(ends(GoingDown::PowerOff, Some("one")), 75);
        assert_eq!(ends(GoingDown::Reboot, Some("one")), 194);
        assert_eq!(ends(GoingDown::Reboot, Some("one")), 194);
        assert_eq!(ends(GoingDown::Reboot, Some("two")), 75);
        assert_eq!(ends(GoingDown::Reboot, None), 75);
    }
}
