//! How a call failed, and whether the change may still have been applied.

use crate::aws::http_client::NoCertificates;
use crate::machine::causes::causes;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::operation::RequestId;

/// The codes of a call that IAM does not allow.
const DENIED: [&str; 3] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];

/// Longer texts from an answer are cut off here, in characters.
const LONGEST_TEXT: usize = 1000;

/// How a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to call {call}: {kind}; {}", self.advice())]
pub struct CallError {
    /// The API action.
    pub call: &'static str,
    /// What happened.
    pub kind: CallErrorKind,
}

/// What happened to a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallErrorKind {
    /// Throttled: not applied, worth a retry.
    #[error("the API is throttling this account ({0})")]
    Throttled(String),
    /// Refused with a 4xx: not applied.
    #[error("{code}: {message}")]
    Rejected {
        /// The error code.
        code: String,
        /// The message that came with it, and the request id.
        message: String,
    },
    /// Not sent, because no server can be trusted.
    #[error("this machine has no CA certificates")]
    NoCertificates,
    /// No answer, or a 5xx: it may have been applied, or may still be.
    #[error("{0}")]
    Unknown(String),
}

impl CallError {
    /// Whether the change asked for may have been applied.
    pub fn may_have_been_applied(&self) -> bool {
        matches!(self.kind, CallErrorKind::Unknown(_))
    }

    /// The target group does not exist (any more).
    pub fn is_group_gone(&self) -> bool {
        self.has_code(&["TargetGroupNotFound"])
    }

    /// The group has its 50 tags.
    pub fn is_too_many_tags(&self) -> bool {
        self.has_code(&["TooManyTags"])
    }

    /// A permission is missing. Somebody may give it back at any time.
    pub fn is_denied(&self) -> bool {
        self.has_code(&DENIED)
    }

    /// The call was throttled.
    pub fn is_throttled(&self) -> bool {
        matches!(self.kind, CallErrorKind::Throttled(_))
    }

    /// A retry cannot help: the request, the permissions or this machine are wrong. Expired credentials are not final: the SDK gets new
    /// ones.
    pub fn is_final(&self) -> bool {
        let passing = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidTarget"];
        match self.kind {
            CallErrorKind::Rejected { .. } => !self.has_code(&passing) && !self.is_clock(),
            CallErrorKind::NoCertificates => true,
            CallErrorKind::Throttled(_) | CallErrorKind::Unknown(_) => false,
        }
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        matches!(&self.kind, CallErrorKind::Rejected { code, .. } if codes.contains(&code.as_str()))
    }

    /// The clock of this machine is wrong, as right after a boot: the signature is of another time.
    fn is_clock(&self) -> bool {
        let of_a_signature = |message: &str| {
            ["not yet current", "expired"].iter().any(|part| message.contains(part))
                && message.contains("ignature")
        };
        self.has_code(&["RequestTimeTooSkewed", "RequestInTheFuture"])
            || matches!(&self.kind, CallErrorKind::Rejected { message, .. } if of_a_signature(message))
    }

    fn is_of_auto_scaling(&self) -> bool {
        self.call.contains("AutoScaling") || self.call.ends_with("Standby")
    }

    /// What a person can do about it, where that is known.
    fn advice(&self) -> &'static str {
        match &self.kind {
            CallErrorKind::NoCertificates => "install the package ca-certificates, or set SSL_CERT_FILE",
            CallErrorKind::Throttled(_) => "wait, or find out what else calls the API this often",
            CallErrorKind::Unknown(_) if self.is_of_auto_scaling() => {
                "check the network, the region and AWS_ENDPOINT_URL_AUTO_SCALING"
            }
            CallErrorKind::Unknown(_) => {
                "check the network, the region and AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"
            }
            CallErrorKind::Rejected { .. } if self.is_clock() => {
                "the clock of this machine is wrong: check its time synchronization, such as with `timedatectl`"
            }
            CallErrorKind::Rejected { code, .. } => match code.as_str() {
                "ValidationError" | "ResourceContention" if self.is_of_auto_scaling() => {
                    "check the group's minimum and its suspended processes: `aws autoscaling describe-auto-scaling-groups`"
                }
                "TargetGroupNotFound" | "ValidationError" => {
                    "check the ARN or name, the region and the account: `aws elbv2 describe-target-groups` lists them"
                }
                code if DENIED.contains(&code) => {
                    "allow this call in the instance's role (docs/deploy.md has the policy)"
                }
                "TooManyTags" => {
                    "remove tags from the target group: `node-agent lease gc` removes those of terminated instances"
                }
                _ => "look the code up in the ELBv2 API reference",
            },
        }
    }
}

pub(crate) fn failed<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> CallError
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
    SdkError<E, R>: HttpStatus,
{
    move |error| {
        let kind = match (&error, error.status()) {
            (SdkError::ServiceError(_), Some(429)) => CallErrorKind::Throttled("HTTP 429".to_owned()),
            (SdkError::ServiceError(service), Some(400..=499)) => {
                let code = printable(service.err().code().unwrap_or("no error code"));
                let id = service.err().request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
                let message = printable(&format!("{}{id}", service.err().message().unwrap_or_default()));
                match code.as_str() {
                    "Throttling"
                    | "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "TooManyRequestsException" => CallErrorKind::Throttled(code),
                    _ => CallErrorKind::Rejected { code, message },
                }
            }
            (SdkError::ServiceError(service), status) => {
                let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
                let code = printable(service.err().code().unwrap_or("a server error"));
                CallErrorKind::Unknown(format!("{code}{status}"))
            }
            _ if NoCertificates::is_cause_of(&error) => CallErrorKind::NoCertificates,
            _ => CallErrorKind::Unknown(printable(&causes(&error))),
        };
        CallError { call, kind }
    }
}

/// Text from an answer, safe for a terminal and a log: one line, no control characters, limited in length.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The call was answered, but the answer is not usable.
pub(crate) fn unexpected(call: &'static str, what: &str) -> CallError {
    CallError { call, kind: CallErrorKind::Unknown(format!("unexpected response: {what}")) }
}

/// The HTTP status of an answer.
pub(crate) trait HttpStatus {
    fn status(&self) -> Option<u16>;
}

impl<E> HttpStatus for SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse> {
    fn status(&self) -> Option<u16> {
        self.raw_response().map(|response| response.status().as_u16())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_named_and_passes() {
        let rejected = |code: &str, message: &str| CallError {
            call: "DescribeTags",
            kind: CallErrorKind::Rejected { code: code.to_owned(), message: message.to_owned() },
        };
        for (code, message) in [
            ("SignatureDoesNotMatch", "Signature not yet current: 20261125T230000Z is still later than"),
            ("SignatureDoesNotMatch", "Signature expired: 20261125T220000Z is now earlier than"),
            ("RequestTimeTooSkewed", ""),
        ] {
            let error = rejected(code, message);
            assert!(
                !error.is_final() && error.to_string().contains("the clock of this machine is wrong"),
                "{error}"
            );
        }
        let wrong_key =
            rejected("SignatureDoesNotMatch", "The request signature we calculated does not match");
        assert!(wrong_key.is_final(), "{wrong_key}");
    }
}
