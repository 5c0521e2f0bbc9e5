//! A stand-in for the SSM agent's script runner: a process group for the script, SIGKILL to it on a cancel, a reboot by
//! the agent when the script ends with 194, and the script again from the top after the boot
//! (amazon-ssm-agent: agent/plugins/pluginutil, agent/executers, agent/rebooter).

use crate::estate::Run;
use crate::machine::Machine;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use tokio::process::Child;

/// The agent gives up on a script that it had to run again so often (`Mds.CommandRetryLimit`).
const MOST_RUNS: usize = 15;

/// One command sent to one node.
pub(crate) struct RunCommand<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) id: &'static str,
    pub(crate) args: Vec<String>,
}

/// The script, running.
pub(crate) struct Script(Child);

impl RunCommand<'_> {
    /// Runs the script once.
    pub(crate) fn start(&self) -> Script {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let mut command = self.machine.command(&args);
        command.env("SSM_COMMAND_ID", self.id).env("AWS_SSM_INSTANCE_ID", crate::estate::NODE);
        Script(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Runs the script once more, to its end, on a machine of which this is different.
    pub(crate) async fn again(&self, different: &[(&'static str, &str)]) -> Run {
        let mut environment = self.machine.estate.environment.clone();
        environment.insert("SSM_COMMAND_ID", self.id.to_owned());
        environment.extend(different.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        crate::estate::run(&environment, &args).await
    }

    /// Runs the document to its end, through the reboots that the script asks for. Returns what each run ended with.
    pub(crate) async fn to_the_end(&self) -> Vec<i32> {
        let mut codes = Vec::new();
        while codes.len() < MOST_RUNS {
            let code = self.start().ends().await;
            codes.push(code);
            if code != 194 {
                return codes;
            }
            self.machine.reboot().await;
        }
        panic!("run again and again: {codes:?}");
    }
}

impl Script {
    pub(crate) async fn ends(mut self) -> i32 {
        self.0.wait().await.unwrap().code().unwrap()
    }

    /// A cancel, or a time-out.
    pub(crate) async fn cancel(mut self) {
        let group = Pid::from_raw(i32::try_from(self.0.id().unwrap()).unwrap()).unwrap();
        kill_process_group(group, Signal::KILL).unwrap();
        self.0.wait().await.unwrap();
    }
}
