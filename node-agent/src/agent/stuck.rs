//! The driver that cannot go on: it tells people at once and every hour, keeps the lock, answers those who ask, and tries
//! again.

use crate::machine::ports::{Machine, Stop};
use crate::maintenance::notify;
use crate::record::journal::{self, Journal};
use crate::record::mailbox::{Ask, Refused, Requests};
use crate::record::{CommandState, Operation};
use crate::settings::Settings;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two attempts.
const TRY_EVERY: Duration = Duration::from_secs(60);
/// How often requests are answered.
const ANSWER_EVERY: Duration = Duration::from_millis(250);
/// How often people are notified.
const NOTIFY_EVERY: Duration = Duration::from_secs(3600);

/// What people have been told, and when.
#[derive(Debug)]
pub struct Stuck {
    told: Option<(String, Instant)>,
    /// An earlier process has started the command on record, and died.
    command_is_not_ours: bool,
}

impl Stuck {
    /// For a driver that is about to take up the record.
    pub fn new(settings: &Settings) -> Stuck {
        let record = journal::read(&settings.state_dir).ok().flatten();
        let operation = record.and_then(|record| record.operation);
        Stuck { told: None, command_is_not_ours: operation.as_ref().is_some_and(runs_a_command) }
    }

    /// Waits until it is time to try again. `refused`: why the driver cannot go on, and the exit code of those who ask.
    /// False: the process has to end.
    pub async fn wait(
        &mut self,
        refused: &Refused,
        machine: &dyn Machine,
        settings: &Settings,
        stop: &Stop,
    ) -> bool {
        tracing::error!("{}; trying again in {} s", refused.reason, TRY_EVERY.as_secs());
        // Nobody else may drive meanwhile. Without a directory there is no lock.
        let _lock = Journal::lock(&settings.state_dir).ok();
        let record = journal::read(&settings.state_dir).ok().flatten();
        let operation = record.as_ref().and_then(|record| record.operation.as_ref());
        let instance = record.as_ref().map(|record| record.instance_id.as_str());
        self.tell(
            machine,
            &refused.reason,
            instance.or(settings.instance_id.as_deref()),
            operation,
            settings,
        )
        .await;
        if operation.is_some_and(runs_a_command) && !self.command_is_not_ours {
            // The command must not go on without a driver. The next process stops what is left of it.
            return false;
        }
        let requests = Requests::beside(&settings.state_dir);
        let until = Instant::now() + TRY_EVERY;
        while Instant::now() < until && !stop.is_cancelled() {
            answer(&requests, operation, refused);
            tokio::select! {
                () = tokio::time::sleep(ANSWER_EVERY) => (),
                () = stop.cancelled() => (),
            }
        }
        if let Some(operation) = operation {
            // Those who come later hear how it goes on.
            requests.refused(&operation.request.id);
        }
        !stop.is_cancelled()
    }

    async fn tell(
        &mut self,
        machine: &dyn Machine,
        reason: &str,
        instance: Option<&str>,
        operation: Option<&Operation>,
        settings: &Settings,
    ) {
        let known = self.told.as_ref();
        if known.is_some_and(|(before, at)| before == reason && at.elapsed() < NOTIFY_EVERY) {
            return;
        }
        self.told = Some((reason.to_owned(), Instant::now()));
        notify::stuck(machine, settings, instance, operation, reason).await;
    }
}

fn runs_a_command(operation: &Operation) -> bool {
    operation.command == CommandState::Running
}

/// Answers everybody at once: new requests, and those who follow the maintenance on record.
fn answer(requests: &Requests, operation: Option<&Operation>, refused: &Refused) {
    for ask in requests.take() {
        if let Ask::Begin(request) = ask {
            requests.refuse(&request.id, refused);
        }
    }
    if let Some(operation) = operation
        && !requests.is_refused(&operation.request.id)
    {
        requests.refuse(&operation.request.id, refused);
    }
}
