//! Stopped at any point, and the next driver cannot go on for three minutes: people are told once, nothing is changed
//! meanwhile, and then the work is finished.

use crate::kind::Kind;
use crate::play::{Death, Ended, Play};
use crate::points::{Point, Points};
use node_agent::agent::lost_record::LostRecordError;
use node_agent::agent::stuck::Stuck;
use node_agent::machine::ports::Stop;
use node_agent::record::journal::{self, Journal};
use node_agent::record::mailbox::Refused;
use node_agent::settings::Settings;
use std::collections::BTreeSet;
use std::path::Path;

/// Attempts before somebody helps.
const ATTEMPTS: usize = 3;

/// Why the driver cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The record is damaged.
    Damaged,
    /// A newer version has written the record.
    Newer,
    /// The record cannot be written.
    DiskFull,
    /// The record is gone, and with it the ports.
    RecordLost,
    /// After a boot there is no metadata service, there are no credentials or no CA certificates.
    NobodyAnswers,
}

const REASONS: [Reason; 5] =
    [Reason::Damaged, Reason::Newer, Reason::DiskFull, Reason::RecordLost, Reason::NobodyAnswers];

impl Reason {
    fn said(self) -> &'static str {
        match self {
            Reason::Damaged => "failed to read the record",
            Reason::Newer => "Install the newer node-agent again",
            Reason::DiskFull => "failed to write the record",
            Reason::RecordLost => "its ports are unknown",
            Reason::NobodyAnswers => "failed to get the instance id",
        }
    }

    /// Breaks the record in this way.
    fn happens_to(self, record: &Path, whole: &[u8], points: &Points) {
        match self {
            Reason::Damaged => std::fs::write(record, &whole[..whole.len() / 2]).unwrap(),
            Reason::Newer => {
                let newer = String::from_utf8_lossy(whole).replacen("\"version\": 2", "\"version\": 9", 1);
                std::fs::write(record, newer).unwrap();
            }
            Reason::DiskFull => points.fill_disk(0),
            Reason::RecordLost => std::fs::remove_file(record).unwrap(),
            Reason::NobodyAnswers => (),
        }
    }
}

/// One attempt of the next driver. `Err`: why it cannot go on.
async fn attempt(play: &Play, reason: Reason) -> Result<Ended, String> {
    let node = &play.fleet.nodes[0];
    match reason {
        Reason::Damaged | Reason::Newer => {
            let opened = Journal::open(&node.settings.state_dir).map(drop);
            Err(opened.expect_err("the record cannot be used").to_string())
        }
        Reason::DiskFull => match play.resumed().await {
            Ended::Stuck(why) => Err(why),
            ended => Ok(ended),
        },
        Reason::NobodyAnswers => Err("failed to get the instance id".to_owned()),
        Reason::RecordLost => match node.lost().await {
            Ok(Some(driver)) => Ok(play.goes_on(driver).await),
            Ok(None) => Ok(Ended::NotBegun),
            Err(error @ LostRecordError::PortsUnknown(_)) => Err(error.to_string()),
            Err(error) => panic!("{error}"),
        },
    }
}

/// Whether the driver had to wait.
async fn stopped_at(kind: Kind, stop: usize, reason: Reason) -> bool {
    let play = Play::new(kind, Points::stopping_at(&[stop]), Death::Killed).await;
    play.until_stopped().await;
    let node = &play.fleet.nodes[0];
    if play.points.passed().last() == Some(&Point::AfterReboot) || reason == Reason::NobodyAnswers {
        node.boot().await;
    }
    let record = node.settings.state_dir.join("record.json");
    let Ok(whole) = std::fs::read(&record) else { return false };
    let settings = Settings { notify_command: vec!["tell-people".into()], ..node.settings.clone() };
    let mut stuck = Stuck::new(&settings);
    reason.happens_to(&record, &whole, &play.points);
    let (mut ended, mut reasons) = (None, BTreeSet::new());
    for _ in 0..ATTEMPTS {
        let why = match attempt(&play, reason).await {
            Err(why) => why,
            Ok(end) => {
                ended = Some(end);
                break;
            }
        };
        assert!(why.contains(reason.said()), "{reason:?}: {why}");
        reasons.insert(why.clone());
        let refused = Refused { exit_code: 3, reason: why };
        assert!(stuck.wait(&refused, node.machine.as_ref(), &settings, &Stop::new()).await);
    }
    let told = node.machine.notified.lock().unwrap().len();
    let waited = ended.is_none();
    if waited {
        assert_eq!(told, reasons.len(), "{kind:?} at {stop}: people are told once of {reasons:?}");
        match reason {
            Reason::Damaged | Reason::Newer => std::fs::write(&record, &whole).unwrap(),
            Reason::DiskFull => play.points.clear_disk(),
            Reason::NobodyAnswers => (),
            Reason::RecordLost => {
                for (arn, port) in play.before.pairs() {
                    play.fleet.alb.register(arn, &node.target_id, port);
                }
            }
        }
        ended = Some(match reason {
            Reason::RecordLost => attempt(&play, reason).await.expect("registered by hand, it goes on"),
            _ => play.resumed().await,
        });
    }
    let ended = ended.expect("an end");
    play.settle().await;
    let mut broken = play.broken_rules(&ended);
    if reason == Reason::RecordLost {
        // What the lost record knew of the command and the verdict is gone with it.
        broken
            .retain(|rule| rule.contains("service") || rule.contains("lease") || rule.contains("more than"));
    }
    assert!(broken.is_empty(), "{kind:?} at {stop}, {reason:?}: {broken:#?}; {ended:?}");
    assert!(!journal::is_driven(&node.settings.state_dir));
    waited
}

async fn survived(kind: Kind, stride: usize) {
    let undisturbed = Play::new(kind, Points::new(), Death::Killed).await;
    undisturbed.to_the_end().await;
    let points = undisturbed.points.passed().len();
    let mut runs = 0;
    for reason in REASONS {
        let mut waited = 0;
        for stop in (0..points).step_by(stride) {
            waited += usize::from(stopped_at(kind, stop, reason).await);
            runs += 1;
        }
        assert!(waited > 0, "{kind:?}, {reason:?}: the driver never had to wait");
    }
    println!("survival: stuck {kind:?}: {runs} runs with {} reasons: nothing lost", REASONS.len());
}

/// The ordinary suite takes every twelfth point; the whole matrix is `scripts/check-survival`.
macro_rules! cannot_go_on {
    ($($kind:ident: $sample:ident, $all:ident);* $(;)?) => {
        $(
            #[tokio::test(flavor = "local", start_paused = true)]
            async fn $sample() {
                survived(Kind::$kind, 12).await;
            }

            #[tokio::test(flavor = "local", start_paused = true)]
            #[ignore = "the whole matrix: scripts/check-survival"]
            async fn $all() {
                survived(Kind::$kind, 1).await;
            }
        )*
    };
}

cannot_go_on! {
    Reboot: in_a_reboot, anywhere_in_a_reboot;
    Command: in_a_command, anywhere_in_a_command;
    DrainAndRejoin: in_drain_and_rejoin, anywhere_in_drain_and_rejoin;
    TwoGroups: in_two_groups, anywhere_in_two_groups;
}
