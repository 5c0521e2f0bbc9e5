//! The maintenance that a script of the SSM agent asks for.

use crate::agent::failure::Complaint;
use crate::client::follow;
use crate::record::{Answered, Record, Request, ScriptId};

/// The request of a script with this SSM_COMMAND_ID, which may have been run before. `run` is the path of the script, which
/// the SSM agent makes new for each run. Without a command id, the caller is not the SSM agent.
pub(crate) fn meant(
    request: Request,
    command_id: Option<String>,
    run: Option<&str>,
) -> Result<Request, Complaint> {
    let Some(command_id) = command_id.filter(|id| !id.is_empty()) else { return Ok(request) };
    let run = run.filter(|run| is_the_path_of_a_script(run));
    let script = ScriptId { id: request.script_id(&command_id, run), of_one_run: run.is_some() };
    let record = follow::read(&request.settings)?.unwrap_or_else(|| Record::new("", ""));
    let answered = Answered::beside(&request.settings.state_dir);
    let id = record.meant_by(&script, &request, &follow::boot_id(&request.settings)?, &answered);
    Ok(Request { id, under_ssm: true, ..request })
}

/// The name of a shell, as `$0` is without a script file, would be the same in every run.
fn is_the_path_of_a_script(run: &str) -> bool {
    let is_path = run.starts_with('/') && run.ends_with(".sh");
    if !is_path {
        tracing::warn!("ignored --run {run}: it is not the path of a script of the SSM agent");
    }
    is_path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn only_the_path_of_a_script_tells_runs_apart() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { state_dir: dir.path().to_owned(), ..Settings::default() };
        let id = |command_id: &str, run| {
            let request = Request::new("random".into(), settings.clone());
            let meant = meant(request, Some(command_id.to_owned()), run).unwrap();
            (meant.id, meant.under_ssm)
        };
        let without = id("c", None);
        assert_eq!(without, ("c.5d2fd596".to_owned(), true));
        for shell in ["sh", "/bin/sh", "-sh", ""] {
            assert_eq!(id("c", Some(shell)), without, "{shell}");
        }
        let (week, next) = (id("c", Some("/a/1/_script.sh")), id("c", Some("/a/2/_script.sh")));
        assert!(week != next && week != without, "{week:?} {next:?}");
        assert_eq!(id("", Some("/a/1/_script.sh")), ("random".to_owned(), false));
    }
}
