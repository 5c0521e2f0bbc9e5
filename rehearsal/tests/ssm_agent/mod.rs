//! A stand-in for the SSM agent: a program on the machine (agent.sh), and what is sent to it from outside.

#![allow(dead_code, reason = "each program uses its own part")]

use std::path::{Path, PathBuf};

/// What runs on the machine.
pub(crate) const PROGRAM: &str = include_str!("agent.sh");

/// How commands reach the agent, and their results leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// ssmmessages, which the agent prefers.
    Mgs,
    /// ec2messages.
    Mds,
}

impl Delivery {
    pub(crate) const BOTH: [Delivery; 2] = [Delivery::Mgs, Delivery::Mds];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Delivery::Mgs => "mgs",
            Delivery::Mds => "mds",
        }
    }
}

/// One of our documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    Maintain,
    Drain,
    Rejoin,
}

impl Document {
    fn name(self) -> &'static str {
        match self {
            Document::Maintain => "maintain",
            Document::Drain => "drain",
            Document::Rejoin => "rejoin",
        }
    }

    /// Its script as Terraform renders the document and the agent fills in the parameters.
    pub(crate) fn script(self, parameters: &[(&str, &str)]) -> String {
        let file = format!("../terraform/modules/agent/documents/{}.yaml", self.name());
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let (_, lines) = text.split_once("runCommand:\n").unwrap();
        let quoted = lines.lines().map(str::trim_start).filter_map(|line| line.strip_prefix("- "));
        // The YAML strings in these documents are JSON strings as well.
        let lines: Vec<String> = quoted.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!lines.is_empty(), "{text}");
        let defaults = [("reboot", "always"), ("command", ""), ("executionTimeout", "14400"), ("window", "")];
        let all = parameters.iter().chain(&defaults);
        let script = all.fold(lines.join("\n"), |script, (name, value)| {
            script.replace(&format!("{{{{ {name} }}}}"), value)
        });
        assert!(!script.contains("{{"), "{script}");
        script
    }
}

/// The agent's directory, as this program sees it and as the machine does.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) outside: PathBuf,
    pub(crate) inside: PathBuf,
}

/// One command sent to one node.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    dir: PathBuf,
}

impl Agent {
    /// Puts the program in its directory.
    pub(crate) fn install(&self) {
        std::fs::create_dir_all(self.outside.join("commands")).unwrap();
        std::fs::write(self.outside.join("agent.sh"), PROGRAM).unwrap();
    }

    /// Sends a script. `id` is the command's, or for an association its own, in every run; `run` is new for each.
    pub(crate) fn send(&self, id: &str, run: &str, script: &str) -> Command {
        let step = Path::new("orchestration").join(id).join(run).join("step");
        std::fs::create_dir_all(self.outside.join(&step)).unwrap();
        let path = step.join("_script.sh");
        std::fs::write(self.outside.join(&path), script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(self.outside.join(&path), mode).unwrap();
        let commands = self.outside.join("commands");
        let dir = commands.join(format!("{:03}", std::fs::read_dir(&commands).unwrap().count()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("id"), id).unwrap();
        std::fs::write(dir.join("script"), self.inside.join(&path).display().to_string()).unwrap();
        // Last, and at once: from here on the agent sees it.
        std::fs::write(dir.join("state.sent"), "new\n").unwrap();
        std::fs::rename(dir.join("state.sent"), dir.join("state")).unwrap();
        Command { dir }
    }
}

impl Command {
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.text("state") == "done\n"
    }

    /// Whether the agent has read its exit code 194 in this boot.
    pub(crate) fn is_rebooting(&self) -> bool {
        self.text("state") == "rebooting\n"
    }

    /// What each run of the script ended with, as far as the agent has read it.
    pub(crate) fn codes(&self) -> Vec<i32> {
        self.text("codes").lines().map(|code| code.parse().unwrap()).collect()
    }

    /// The exit code that the agent has not read.
    pub(crate) fn unread(&self) -> Option<i32> {
        self.text("result").trim().parse().ok()
    }

    pub(crate) fn stdout(&self) -> String {
        self.text("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.text("stderr")
    }

    /// The leader of the script's process group.
    pub(crate) fn leader(&self) -> Option<i32> {
        self.text("leader").trim().parse().ok()
    }
}
