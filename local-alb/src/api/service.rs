//! The two APIs.

/// One of the two APIs: the version in its requests and the namespace in its responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service {
    pub(super) version: &'static str,
    pub(super) namespace: &'static str,
}

pub(crate) const ELASTIC_LOAD_BALANCING: Service =
    Service { version: "2015-12-01", namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/" };
pub(crate) const AUTO_SCALING: Service =
    Service { version: "2011-01-01", namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/" };
