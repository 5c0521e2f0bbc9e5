//! Whether a reboot is required, as each distribution's own tool says it. Scripts stand in for the tools.

use crate::estate::{Estate, Run, estate};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A machine with these programs and no others. The next boot starts the kernel that runs, unless `grubby` says otherwise.
async fn with_tools(tools: &[(&str, &str)]) -> Estate {
    let estate = estate().await.configured("reboot_limit = \"1s\"");
    let running = "#!/bin/sh\necho /boot/vmlinuz-$(/bin/uname -r)\n";
    let scripts = tools.iter().map(|(name, body)| (*name, format!("#!/bin/sh\n{body}\n")));
    let bin = estate.dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, script) in [("grubby", running.to_owned())].into_iter().chain(scripts) {
        std::fs::write(bin.join(name), script).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let reboot = "reboot_command = [\"/bin/false\"]";
    let path = bin.display().to_string();
    estate.configured_instead("reboot_command = [\"false\"]", reboot).with("PATH", &path)
}

async fn asked(tools: &[(&str, &str)]) -> Run {
    with_tools(tools).await.agent(&["maintain", "--reboot=if-required"]).await
}

/// Then this machine requires a reboot itself, whatever the tools say.
fn has_marker() -> bool {
    let markers = ["/run/reboot-required", "/var/run/reboot-required", "/run/reboot-needed"];
    markers.iter().any(|marker| Path::new(marker).exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tool_is_understood_in_its_own_exit_codes() {
    if has_marker() {
        return;
    }
    for (tool, arguments, yes) in [
        ("needs-restarting", "-r", 1),
        ("dnf", "needs-restarting -r", 1),
        ("dnf5", "needs-restarting -r", 1),
        ("zypper", "--quiet needs-rebooting", 102),
    ] {
        let ends = |code: i32| format!("[ \"$*\" = '{arguments}' ] || exit 9\nexit {code}");
        asked(&[(tool, &ends(0))]).await.says(0, &["nothing to do: the system requires no reboot"]);
        let says_so = format!("the system requires a reboot: `{tool} {arguments}` says so");
        asked(&[(tool, &ends(yes))]).await.says(1, &[&says_so, "failed to reboot with"]);
        let cannot =
            format!("cannot tell whether the system requires a reboot: `{tool} {arguments}` ended with 3");
        asked(&[(tool, &ends(3))]).await.says(1, &[&cannot, "rebooting"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_missing_cannot_tell() {
    if has_marker() {
        return;
    }
    for (tool, said) in [
        ("dnf", "No such command: needs-restarting. Please use /usr/bin/dnf --help"),
        ("dnf5", "Unknown argument \"needs-restarting\" for command \"dnf5\""),
    ] {
        let body = format!("echo '{said}' >&2\nexit 1");
        let run = asked(&[(tool, &body)]).await;
        run.says(1, &["cannot tell whether the system requires a reboot", "install dnf-utils", "rebooting"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_kernel_counts_whatever_the_tool_says() {
    if has_marker() {
        return;
    }
    let new = "echo /boot/vmlinuz-99.1.0-1.amzn2023.x86_64";
    let run = asked(&[("grubby", new), ("needs-restarting", "exit 0")]).await;
    run.says(1, &["the next boot starts the kernel 99.1.0-1.amzn2023.x86_64"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_ones_own_replaces_the_tools() {
    for (code, says) in
        [(0, "the system requires no reboot"), (1, "`mine` says so"), (7, "`mine` ended with 7")]
    {
        let estate = with_tools(&[("mine", &format!("exit {code}")), ("needs-restarting", "exit 1")]).await;
        let estate = estate.configured("reboot_required_command = [\"mine\"]");
        estate.agent(&["maintain", "--reboot=if-required"]).await.says(i32::from(code != 0), &[says]);
    }
}
