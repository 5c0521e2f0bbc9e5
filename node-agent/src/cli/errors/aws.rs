//! The errors of AWS and of the way to it.

use super::{ME, Messages, no_json, of};
use crate::agent::lost_record::LostRecordError;
use crate::aws::auto_scaling::{Member, ScalingGroup, undecided};
use crate::aws::ec2::Ec2Error;
use crate::aws::http_client::NoCertificates;
use crate::aws::instance_metadata::IdentityError;
use crate::aws::load_balancer::{CallError, CallErrorKind, Unsupported};
use crate::aws::own_groups::MembershipError;
use crate::aws::target_group::TargetType;
use crate::machine::program::NotEnded;
use std::time::Duration;

pub(super) fn call_errors() -> Messages {
    let failed = |call, kind| CallError { call, kind };
    let unknown = || CallErrorKind::Unknown("dispatch failure: connection refused".to_owned());
    let rejected = |code: &str| CallErrorKind::Rejected {
        code: code.to_owned(),
        message: "the API's own words (request 1)".to_owned(),
    };
    of(
        "CallError",
        &[
            &failed("DescribeTags", CallErrorKind::Throttled("ThrottlingException".to_owned())),
            &failed("DescribeTags", unknown()),
            &failed("EnterStandby", unknown()),
            &failed("DescribeTags", CallErrorKind::NoCertificates),
            &failed("DescribeTargetGroups", rejected("TargetGroupNotFound")),
            &failed("DeregisterTargets", rejected("AccessDenied")),
            &failed("EnterStandby", rejected("ValidationError")),
            &failed("DescribeTags", rejected("RequestTimeTooSkewed")),
            &failed("AddTags", rejected("TooManyTags")),
        ],
    )
}

pub(super) fn aws() -> Vec<Messages> {
    let unsupported = Unsupported {
        arn: "arn:web".to_owned(),
        name: "web".to_owned(),
        why: "has the type lambda".to_owned(),
    };
    let group = "web".to_owned();
    vec![
        of(
            "MembershipError",
            &[
                &MembershipError::NoSuchGroup(group.clone()),
                &MembershipError::NotAMember { node: ME.to_owned(), group: group.clone() },
                &MembershipError::Nowhere(ME.to_owned()),
                &MembershipError::NoneManaged,
            ],
        ),
        of("NoCertificates", &[&NoCertificates]),
        of("Unsupported", &[&unsupported]),
        of("IdentityError", &[&IdentityError::Metadata("connection refused".to_owned())]),
        of(
            "Ec2Error",
            &[
                &Ec2Error::NotRun(NotEnded::TooLong(Duration::from_secs(60))),
                &Ec2Error::Refused { code: "254".to_owned(), said: "the CLI's own words".to_owned() },
                &Ec2Error::Answer(no_json()),
            ],
        ),
        of("LostRecordError", &[&LostRecordError::PortsUnknown(group)]),
    ]
}

pub(super) fn standby() -> Messages {
    let member = |state: &str| Member { group: "fleet".to_owned(), state: state.to_owned() };
    let group = |min, desired| ScalingGroup {
        name: "fleet".to_owned(),
        min,
        desired,
        suspended: Vec::new(),
        target_groups: Vec::new(),
        in_standby: 0,
    };
    let suspended = ScalingGroup { suspended: vec!["Launch".to_owned()], ..group(1, 3) };
    let busy = ScalingGroup { in_standby: 1, ..group(3, 3) };
    of(
        "NoStandby",
        &[
            &undecided("InService"),
            &group(1, 3).spares(&member("Pending")).unwrap_err(),
            &group(1, 3).spares(&member("Standby")).unwrap_err(),
            &suspended.spares(&member("InService")).unwrap_err(),
            &group(3, 3).spares(&member("InService")).unwrap_err(),
            &busy.spares(&member("InService")).unwrap_err(),
            &group(1, 3).moves("arn:web", "web", TargetType::Instance, Some(80), &[]).unwrap_err(),
        ],
    )
}
