//! The state of the load balancer. Without I/O and without a clock: `now` is an argument.

pub(crate) mod attributes;
pub(crate) mod scaling_group;
pub(crate) mod tags;
pub(crate) mod target;
pub(crate) mod timeline;

use crate::faults::{Fate, moment_seen};
use crate::settings::{Instance, Settings, TargetGroupSettings};
use attributes::Attributes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use tags::Tags;
use target::{Eligible, Target, TargetHealth};
use tokio::time::Instant;

/// The state of the load balancer.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) settings: Settings,
    pub(crate) groups: BTreeMap<String, TargetGroup>,
    pub(crate) instances: BTreeMap<String, Instance>,
    /// Addresses of an instance besides its first one.
    pub(crate) more_addresses: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Availability zones with a zonal shift, and the state that their targets report.
    pub(crate) shifted_zones: BTreeMap<String, String>,
    pub(crate) fate: Fate,
    pub(crate) random: StdRng,
}

/// One target group.
#[derive(Debug)]
pub(crate) struct TargetGroup {
    pub(crate) settings: TargetGroupSettings,
    pub(crate) attributes: Attributes,
    pub(crate) tags: Tags,
    /// By id and port. Targets that have left are kept for stale reads, and are shown as not registered.
    pub(crate) targets: BTreeMap<(String, u16), Target>,
    /// Every instance that was ever registered, except retired ones.
    pub(crate) expected: BTreeSet<String>,
    /// The most instances that were not in service at one time, since somebody asked for it to be counted.
    pub(crate) most_out: Option<usize>,
}

/// A registration whose health checks have not started yet.
#[derive(Debug, Clone)]
pub(crate) struct NewRegistration {
    pub(crate) arn: String,
    /// Id and port.
    pub(crate) key: (String, u16),
    pub(crate) registration: u64,
}

/// FNV-1a, so that ARNs do not differ between runs.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

impl Model {
    pub(crate) fn new(settings: Settings) -> Model {
        Model {
            fate: Fate::new(settings.faults.clone()),
            random: StdRng::seed_from_u64(settings.seed),
            settings,
            groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            more_addresses: BTreeMap::new(),
            shifted_zones: BTreeMap::new(),
        }
    }

    /// The ARN of the group with this name.
    pub(crate) fn arn_of(&self, name: &str) -> String {
        let id = name.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        format!("{}{name}/{id:016x}", self.arn_prefix())
    }

    /// What the ARNs of this account's and region's groups begin with.
    pub(crate) fn arn_prefix(&self) -> String {
        let Settings { region, account, .. } = &self.settings;
        format!("arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/")
    }

    /// The ARN of the load balancer.
    pub(crate) fn load_balancer_arn(&self) -> String {
        let Settings { region, account, .. } = &self.settings;
        format!("arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/app/local/50dc6c495c0c9188")
    }

    /// The address for the traffic and the health checks of a target. Every socket to a target uses an address from here,
    /// and only loopback addresses are returned.
    pub(crate) fn address_of(&self, id: &str) -> Option<IpAddr> {
        let instance = self.instances.get(id).map(|instance| instance.address);
        instance.or_else(|| id.parse().ok()).filter(IpAddr::is_loopback)
    }

    /// The state of the zonal shift that keeps a target from traffic.
    pub(crate) fn zonal_shift_of(&self, id: &str) -> Option<&str> {
        let zone = &self.instances.get(id)?.zone;
        self.shifted_zones.get(zone).map(String::as_str)
    }

    /// The targets that the data plane sends requests to: the healthy ones, or all of them if too few are healthy. Targets
    /// in a zone that is shifted away get none.
    pub(crate) fn receivers<'a>(
        &self,
        group: &'a TargetGroup,
        now: Instant,
    ) -> Vec<(&'a (String, u16), &'a Target)> {
        let mut receivers = group.receivers(now, self.settings.propagation_lag);
        receivers.retain(|((id, _), _)| self.zonal_shift_of(id).is_none());
        receivers
    }

    /// Registers one target. `None`: it was already registered.
    pub(crate) fn register(
        &mut self,
        now: Instant,
        arn: &str,
        id: &str,
        port: u16,
    ) -> Option<NewRegistration> {
        let lag = self.settings.propagation_lag;
        let group = self.groups.get_mut(arn)?;
        let target = group.targets.entry((id.to_owned(), port)).or_insert_with(Target::new);
        group.expected.insert(id.to_owned());
        let began = target.register(now, lag, group.settings.load_balancer);
        let registration = target.registration;
        began.then(|| NewRegistration { arn: arn.to_owned(), key: (id.to_owned(), port), registration })
    }

    /// Attaches a group to the load balancer, or detaches it. Returns the targets whose health checks begin.
    pub(crate) fn set_in_use(&mut self, now: Instant, arn: &str, in_use: bool) -> Vec<NewRegistration> {
        let lag = self.settings.propagation_lag;
        let Some(group) = self.groups.get_mut(arn) else { return Vec::new() };
        group.settings.load_balancer = in_use;
        let registered = group.targets.iter_mut().filter(|(_, target)| target.is_registered(now));
        let begun = registered.map(|(key, target)| {
            target.begin(now, lag, in_use);
            NewRegistration { arn: arn.to_owned(), key: key.clone(), registration: target.registration }
        });
        begun.collect()
    }

    /// Deregisters one target. As on AWS, a target that is not registered is no error.
    pub(crate) fn deregister(&mut self, now: Instant, arn: &str, id: &str, port: u16) {
        let Some(group) = self.groups.get_mut(arn) else { return };
        let delay = group.attributes.deregistration_delay();
        if let Some(target) = group.targets.get_mut(&(id.to_owned(), port)) {
            target.deregister(now, delay);
        }
        self.count_out(now, arn);
    }

    /// Counts again, after a change that may have taken an instance out of service. Time alone takes none out.
    pub(crate) fn count_out(&mut self, now: Instant, arn: &str) {
        if self.groups.get(arn).is_none_or(|group| group.most_out.is_none()) {
            return;
        }
        let out = self.instances_out(now, arn);
        if let Some(group) = self.groups.get_mut(arn) {
            group.most_out = group.most_out.max(Some(out));
        }
    }

    /// The tags of a group as one read returns them.
    pub(crate) fn read_tags(&mut self, now: Instant, arn: &str) -> BTreeMap<String, String> {
        let stale = self.fate.faults.stale_tags;
        let random = &mut self.random;
        let Some(group) = self.groups.get(arn) else { return BTreeMap::new() };
        group.tags.read(|| moment_seen(now, stale, random))
    }

    /// Counts the instances of a group that are not in service. A deregistered pair does not count if another pair of the
    /// instance serves.
    pub(crate) fn instances_out(&self, now: Instant, arn: &str) -> usize {
        let Some(group) = self.groups.get(arn) else { return 0 };
        // Both are ordered by id, so one pass is enough.
        let mut targets = group.targets.iter().peekable();
        let mut in_service = |expected: &String| {
            let mut pairs = None;
            while let Some(((id, _), target)) = targets.next_if(|((id, _), _)| id <= expected) {
                let health = target.health_at(now);
                if id == expected && health != TargetHealth::NotRegistered {
                    pairs = Some(pairs.unwrap_or(true) && health == TargetHealth::Healthy);
                }
            }
            pairs == Some(true)
        };
        group.expected.iter().filter(|id| !in_service(id)).count()
    }
}

impl TargetGroup {
    /// Creates a group without targets.
    ///
    /// # Errors
    /// An attribute is invalid.
    pub(crate) fn new(now: Instant, settings: TargetGroupSettings) -> Result<TargetGroup, String> {
        Ok(TargetGroup {
            attributes: Attributes::new(&settings.attributes)?,
            tags: Tags::new(now, &settings.tags),
            settings,
            targets: BTreeMap::new(),
            expected: BTreeSet::new(),
            most_out: None,
        })
    }

    fn receivers(&self, now: Instant, lag: Duration) -> Vec<(&(String, u16), &Target)> {
        let seen = |(key, target)| (key, target, Target::gets_requests(target, now, lag));
        let mut known: Vec<_> = self.targets.iter().map(seen).collect();
        known.retain(|(.., eligible)| *eligible != Eligible::No);
        let healthy = known.iter().filter(|(.., eligible)| *eligible == Eligible::Healthy).count();
        if !self.attributes.fails_open(healthy, known.len()) {
            known.retain(|(.., eligible)| *eligible == Eligible::Healthy);
        }
        known.into_iter().map(|(key, target, _)| (key, target)).collect()
    }

    pub(crate) fn delay(&self) -> Duration {
        self.attributes.deregistration_delay()
    }
}
