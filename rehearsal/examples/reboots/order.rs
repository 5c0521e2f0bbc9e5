//! The order in which systemd started and stopped units.

use anyhow::{Context, bail, ensure};

use crate::container::Container;

/// Message ids of systemd; `systemd.journal-fields` and `journalctl --catalog` list them.
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";

/// Checks that the driver started after the network and the service.
pub(crate) async fn at_boot(machine: &Container) -> anyhow::Result<()> {
    let driver = moment(machine, "node-agent.service", "ExecMainStartTimestampMonotonic").await?;
    for unit in ["hello-service.service", "network-online.target", "node-agent-guard.service"] {
        let up = moment(machine, unit, "ActiveEnterTimestampMonotonic").await?;
        ensure!(up <= driver, "the driver started at {driver} us, before {unit} was up at {up} us");
    }
    Ok(())
}

async fn moment(machine: &Container, unit: &str, property: &str) -> anyhow::Result<u64> {
    let moment = machine.property(unit, property).await?.parse()?;
    ensure!(moment > 0, "{unit} was not started in this boot");
    Ok(moment)
}

/// Checks that in that boot the guard had finished before the service and the network began to stop.
pub(crate) async fn at_shutdown(machine: &Container, boot_id: &str) -> anyhow::Result<()> {
    let boot = format!("_BOOT_ID={}", boot_id.replace('-', ""));
    let journal = machine.said(&["journalctl", "--no-pager", "--output=json", &boot, "_PID=1"]).await?;
    let entries: Vec<serde_json::Value> = journal
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("the journal is not JSON")?;
    let when = |unit: &str, message: &str| {
        let entry = entries.iter().rfind(|entry| entry["UNIT"] == unit && entry["MESSAGE_ID"] == message);
        let moment = entry.and_then(|entry| entry["__MONOTONIC_TIMESTAMP"].as_str()?.parse::<u64>().ok());
        moment.with_context(|| format!("the journal has no entry about the stop of {unit}"))
    };
    let drained = when("node-agent-guard.service", STOPPED)?;
    for (unit, message) in [("hello-service.service", STOPPING), ("network.target", STOPPED)] {
        let stops = when(unit, message)?;
        if stops < drained {
            bail!("{unit} stopped at {stops} us, before the guard had drained at {drained} us");
        }
    }
    Ok(())
}
