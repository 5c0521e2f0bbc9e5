//! What each phase does: one file for each phase, named after it. Every step can be run twice.

mod acquire_lease;
pub(crate) mod check_group;
mod check_health;
mod deregister;
mod drain;
pub(crate) mod halted;
mod reboot;
mod register;
mod release_lease;
mod run_command;
mod validate;
mod wait_in_service;

use crate::maintenance::context::{Driver, Step};
use crate::record::phase::Phase;

/// Runs one phase.
pub(crate) async fn run(phase: Phase, driver: &mut Driver) -> Step {
    match phase {
        Phase::CheckGroup => check_group::run(driver).await,
        Phase::AcquireLease => acquire_lease::run(driver).await,
        Phase::Validate => validate::run(driver).await,
        Phase::Deregister => deregister::run(driver).await,
        Phase::Drain => drain::run(driver).await,
        Phase::RunCommand => run_command::run(driver).await,
        Phase::Reboot => reboot::run(driver).await,
        Phase::CheckHealth => check_health::run(driver).await,
        Phase::Register => register::run(driver).await,
        Phase::WaitInService => wait_in_service::run(driver).await,
        Phase::ReleaseLease => release_lease::run(driver).await,
        // The driver stops in these.
        Phase::Drained | Phase::Done | Phase::Halted => Ok(()),
    }
}
