//! DescribeTargetHealth, RegisterTargets, DeregisterTargets.

use super::answer::{Answer, ApiError, text, within};
use super::query::Query;
use crate::faults::moment_seen;
use crate::model::attributes::MOST_TARGETS;
use crate::model::target::{Target, TargetHealth};
use crate::model::{Model, NewRegistration, TargetGroup};
use std::net::IpAddr;
use tokio::time::Instant;

/// The Availability Zone of an address outside the VPC, and of one of which nothing is known.
const OUTSIDE_VPC: &str = "all";
const DEFAULT_ZONE: &str = "us-east-1a";

pub(super) fn describe_health(model: &mut Model, now: Instant, query: &Query) -> Answer {
    let arn = group_arn(model, query)?;
    // The real API documents `Include` for more than the health. Whoever does not ask may not be told.
    let everything = query.list("Include").contains(&"All");
    let Model { groups, fate, random, instances, shifted_zones, settings, .. } = model;
    let shift_of = |id: &str| {
        let zone = instances.get(id).filter(|_| everything).map(|instance| &instance.zone)?;
        shifted_zones.get(zone).map(String::as_str)
    };
    let group = groups.get(&arn).ok_or_else(ApiError::group_not_found)?;
    // Each target is shown as it was at a random moment within `stale_health`.
    let mut seen = |target: &Target| {
        let health = target.health_at(moment_seen(now, fate.faults.stale_health, random));
        // A registration that does not show yet leaves what was there before.
        let late = Some(fate.faults.late_registrations).filter(|late| !late.is_zero());
        let before = late.and_then(|late| now.checked_sub(late)).map(|then| target.health_at(then));
        before.filter(|before| !before.is_registered() && health.is_registered()).unwrap_or(health)
    };
    let zone_of = |id: &str| {
        let address: IpAddr = id.parse().ok().filter(|_| group.settings.target_type == "ip")?;
        if settings.outside_vpc.contains(&address) {
            return Some(OUTSIDE_VPC);
        }
        Some(
            instances
                .values()
                .find(|known| known.address == address)
                .map_or(DEFAULT_ZONE, |known| &known.zone),
        )
    };
    let asked = pairs(group, query)?;
    let mut out = String::new();
    within(&mut out, "TargetHealthDescriptions", |out| {
        for pair in &asked {
            let health = group.targets.get(pair).map_or(TargetHealth::NotRegistered, &mut seen);
            within(out, "member", |out| {
                describe_one(out, group, pair, health, zone_of(&pair.0), shift_of(&pair.0));
            });
        }
        // Without targets in the request: all registered and draining targets, but none that has left.
        for (pair, target) in group.targets.iter().filter(|_| asked.is_empty()) {
            let health = seen(target);
            if health != TargetHealth::NotRegistered {
                within(out, "member", |out| {
                    describe_one(out, group, pair, health, zone_of(&pair.0), shift_of(&pair.0));
                });
            }
        }
    });
    Ok(out)
}

fn describe_one(
    out: &mut String,
    group: &TargetGroup,
    pair: &(String, u16),
    health: TargetHealth,
    zone: Option<&str>,
    zonal_shift: Option<&str>,
) {
    let (id, port) = pair;
    within(out, "Target", |out| {
        if let Some(zone) = zone {
            text(out, "AvailabilityZone", zone);
        }
        text(out, "Id", id);
        text(out, "Port", port.to_string());
    });
    if health != TargetHealth::NotInUse {
        text(out, "HealthCheckPort", group.settings.health_check.port_for(*port).to_string());
    }
    within(out, "TargetHealth", |out| {
        text(out, "State", health.word());
        if !health.reason().is_empty() {
            text(out, "Reason", health.reason());
            text(out, "Description", health.description());
        }
    });
    if let Some(state) = zonal_shift {
        within(out, "AdministrativeOverride", |out| {
            text(out, "State", state);
            text(out, "Reason", "AdministrativeOverride.ZonalShiftActive");
        });
    }
}

pub(super) fn register(model: &mut Model, now: Instant, query: &Query) -> (Answer, Vec<NewRegistration>) {
    let checked = group_arn(model, query).and_then(|arn| {
        let group = model.groups.get(&arn).ok_or_else(ApiError::group_not_found)?;
        let pairs = at_least_one(pairs(group, query)?)?;
        let is_new = |pair: &&(String, u16)| !group.targets.get(*pair).is_some_and(|t| t.is_registered(now));
        let registered = group.targets.values().filter(|target| target.is_registered(now)).count();
        if registered + pairs.iter().filter(is_new).count() > MOST_TARGETS {
            let message = "The maximum number of targets for the target group has been reached";
            return Err(ApiError::sender("TooManyTargets", message));
        }
        for (pair, fields) in pairs.iter().zip(query.structures("Targets")) {
            may_register(model, group, now, pair, fields.get("AvailabilityZone").copied())?;
        }
        Ok((arn, pairs))
    });
    match checked {
        Err(error) => (Err(error), Vec::new()),
        Ok((arn, pairs)) => {
            let new = pairs.iter().filter_map(|(id, port)| model.register(now, &arn, id, *port)).collect();
            (Ok(String::new()), new)
        }
    }
}

fn may_register(
    model: &Model,
    group: &TargetGroup,
    now: Instant,
    pair: &(String, u16),
    zone: Option<&str>,
) -> Result<(), ApiError> {
    let (id, port) = pair;
    if group.settings.target_type == "ip" {
        let address: IpAddr = id.parse().map_err(|_| {
            ApiError::validation(format!("The IP address '{id}' is not a valid IPv4 or IPv6 address"))
        })?;
        check_zone(model, &address, zone)?;
        // An IP address cannot be registered again before it has drained.
        let draining =
            group.targets.get(pair).is_some_and(|target| target.health_at(now) == TargetHealth::Draining);
        if draining {
            let message =
                format!("The following targets are draining and cannot be registered: '{id}:{port}'");
            return Err(ApiError::sender("InvalidTarget", message));
        }
        return Ok(());
    }
    if !is_instance_id(id) {
        return Err(ApiError::validation(format!("Instance ID '{id}' is not valid")));
    }
    if !model.instances.contains_key(id) {
        return Err(ApiError::sender(
            "InvalidTarget",
            format!("The following targets are not in a running state: '{id}'"),
        ));
    }
    Ok(())
}

/// `i-` and 8 or 17 hexadecimal digits.
fn is_instance_id(id: &str) -> bool {
    let digits = id.strip_prefix("i-").unwrap_or_default();
    [8, 17].contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The text for addresses outside is that of AWS, as the issues of the AWS Load Balancer Controller show it (3084, 3714). That
/// for addresses inside is our own.
fn check_zone(model: &Model, address: &IpAddr, zone: Option<&str>) -> Result<(), ApiError> {
    if model.settings.outside_vpc.is_empty() {
        return Ok(());
    }
    match (model.settings.outside_vpc.contains(address), zone == Some(OUTSIDE_VPC)) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => Err(ApiError::validation(format!(
            "The Availability Zone for IP address '{address}' must be 'all' for Application Load Balancer target groups, when \
             not within the VPC"
        ))),
        (false, true) => Err(ApiError::validation(format!(
            "You cannot use the Availability Zone 'all' for the IP address '{address}', which is within the VPC"
        ))),
    }
}

/// A target that is not registered is no error. So a call without the port succeeds and does nothing if the target was
/// registered with a port other than the group's.
pub(super) fn deregister(model: &mut Model, now: Instant, query: &Query) -> Answer {
    let arn = group_arn(model, query)?;
    let group = model.groups.get(&arn).ok_or_else(ApiError::group_not_found)?;
    for (id, port) in at_least_one(pairs(group, query)?)? {
        model.deregister(now, &arn, &id, port);
    }
    Ok(String::new())
}

/// AWS's limit for the names or ARNs in one request.
const MOST_NAMED: usize = 20;

pub(super) fn not_too_many(named: &[&str]) -> Result<(), ApiError> {
    if named.len() <= MOST_NAMED {
        return Ok(());
    }
    Err(ApiError::validation(format!("At most {MOST_NAMED} resources can be named in one request")))
}

/// The ARN of the group that a request names.
pub(super) fn group_arn(model: &Model, query: &Query) -> Result<String, ApiError> {
    let arn = query.get("TargetGroupArn").ok_or_else(|| missing("targetGroupArn"))?;
    known_group(model, arn).map(ToOwned::to_owned)
}

/// AWS checks the format of an ARN before it looks for the group.
pub(super) fn known_group<'a>(model: &Model, arn: &'a str) -> Result<&'a str, ApiError> {
    // A group of another region or account has no valid ARN either.
    if !arn.starts_with(&model.arn_prefix()) {
        return Err(ApiError::validation(format!("'{arn}' is not a valid target group ARN")));
    }
    if model.groups.contains_key(arn) { Ok(arn) } else { Err(ApiError::group_not_found()) }
}

pub(super) fn missing(member: &str) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

/// The targets of a request. A target without a port gets the group's port.
fn pairs(group: &TargetGroup, query: &Query) -> Result<Vec<(String, u16)>, ApiError> {
    let pair = |fields: std::collections::BTreeMap<&str, &str>| {
        let id =
            fields.get("Id").filter(|id| !id.is_empty()).ok_or_else(|| missing("targets.1.member.id"))?;
        let port = match fields.get("Port") {
            None => group.settings.port,
            Some(text) => match text.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(ApiError::validation(format!("Port '{text}' must be between 1 and 65535"))),
            },
        };
        Ok(((*id).to_owned(), port))
    };
    query.structures("Targets").into_iter().map(pair).collect()
}

fn at_least_one<T>(list: Vec<T>) -> Result<Vec<T>, ApiError> {
    if list.is_empty() { Err(missing("targets")) } else { Ok(list) }
}
