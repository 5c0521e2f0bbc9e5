//! The decision on plain values, and the tools as scripts.

use super::*;
use RebootRequired::{CannotTell, No, Yes};

fn facts() -> Facts {
    Facts { running: "6.12.80".into(), ..Facts::default() }
}

#[test]
fn a_kernel_that_does_not_run_yet_requires_a_reboot_whatever_the_tool_says() {
    let new = Facts { next: Some("6.12.90".into()), tool: Some(No), ..facts() };
    let Yes(why) = decide(new) else { panic!("no reboot") };
    assert_eq!(why, "the next boot starts the kernel 6.12.90, and 6.12.80 is running");
    assert_eq!(decide(Facts { next: Some("6.12.80".into()), tool: Some(No), ..facts() }), No);
}

#[test]
fn with_the_same_kernel_the_marker_and_the_tool_decide() {
    let same = || Facts { next: Some("6.12.80".into()), ..facts() };
    assert_eq!(decide(same()), No);
    assert_eq!(decide(Facts { tool: Some(Yes("glibc".into())), ..same() }), Yes("glibc".into()));
    assert_eq!(decide(Facts { tool: Some(CannotTell("why".into())), ..same() }), CannotTell("why".into()));
    let marker = Facts { marker: Some("/run/reboot-required".into()), ..same() };
    assert_eq!(decide(marker), Yes("/run/reboot-required exists".into()));
}

#[test]
fn a_machine_without_kernel_and_tool_cannot_tell_unless_its_package_manager_leaves_markers() {
    let CannotTell(why) = decide(facts()) else { panic!("told") };
    assert!(why.contains("set reboot_required_command"), "{why}");
    assert_eq!(decide(Facts { has_dpkg: true, ..facts() }), No);
}

#[test]
fn the_release_is_read_off_the_name_of_the_kernel() {
    for (kernel, expected) in [
        ("/boot/vmlinuz-6.12.90-1.amzn2023.x86_64", Some("6.12.90-1.amzn2023.x86_64")),
        ("vmlinuz-6.1.0-28-cloud-amd64", Some("6.1.0-28-cloud-amd64")),
        ("boot/vmlinuz-6.4.0-150600.21-default", Some("6.4.0-150600.21-default")),
        ("Image-5.10.0", Some("5.10.0")),
        ("vmlinuz", None),
        ("vmlinuz-", None),
        ("", None),
    ] {
        assert_eq!(release(Path::new(kernel)).as_deref(), expected, "{kernel}");
    }
}

#[tokio::test]
async fn a_link_names_the_kernel_of_the_next_boot() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(next_kernel(root.path()).await, None);
    std::os::unix::fs::symlink("boot/vmlinuz-6.1.0-28-amd64", root.path().join("vmlinuz")).unwrap();
    assert_eq!(next_kernel(root.path()).await.as_deref(), Some("6.1.0-28-amd64"));
    std::fs::create_dir(root.path().join("boot")).unwrap();
    std::os::unix::fs::symlink("vmlinuz-6.4.0-default", root.path().join("boot/vmlinuz")).unwrap();
    assert_eq!(next_kernel(root.path()).await.as_deref(), Some("6.4.0-default"));
}

#[test]
fn each_marker_is_found() {
    for name in MARKERS {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(marker(root.path()), None);
        let file = root.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(marker(root.path()), Some(file));
    }
}

#[tokio::test]
async fn the_users_own_command_is_asked_alone() {
    let asked = async |script: &str| ask(&["sh", "-c", script].map(str::to_owned)).await;
    assert_eq!(asked("exit 0").await, No);
    assert_eq!(asked("exit 1").await, Yes("`sh` says so".into()));
    assert_eq!(asked("exit 7").await, CannotTell("`sh` ended with 7".into()));
    let CannotTell(why) = ask(&["/nonexistent/asked".to_owned()]).await else { panic!("told") };
    assert!(why.starts_with("failed to run `/nonexistent/asked`: "), "{why}");
}

#[test]
fn a_tool_says_yes_with_its_own_code() {
    assert_eq!(
        said("zypper needs-rebooting", Some(102), 102),
        Yes("`zypper needs-rebooting` says so".into())
    );
    assert_eq!(
        said("zypper needs-rebooting", Some(1), 102),
        CannotTell("`zypper needs-rebooting` ended with 1".into())
    );
    assert_eq!(said("needs-restarting -r", None, 1), CannotTell("`needs-restarting -r` was killed".into()));
}

#[tokio::test]
async fn without_its_plugin_dnf_says_nothing_about_reboots() {
    for text in [
        "No such command: needs-restarting. Please use /usr/bin/dnf --help",
        "Unknown argument \"needs-restarting\"",
    ] {
        let output = output(&["sh", "-c", "echo \"$0\" >&2; exit 1", text]).await.unwrap();
        assert!(lacks_plugin(&output), "{text}");
    }
    let yes = output(&["sh", "-c", "echo 'Reboot is required to fully utilize these updates.'; exit 1"])
        .await
        .unwrap();
    assert!(!lacks_plugin(&yes));
}
