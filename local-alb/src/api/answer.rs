//! Responses on the wire: XML, request ids, and responses that never arrive.

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use quick_xml::escape;
use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An action's response: the content of its `Result` element.
pub(super) type Answer = Result<String, ApiError>;

/// An error in AWS's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    /// An error of the caller: 400.
    pub(crate) fn sender(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::FORBIDDEN, code, message: message.into() }
    }

    pub(crate) fn expired_token() -> ApiError {
        ApiError::forbidden("ExpiredToken", "The security token included in the request is expired")
    }

    pub(crate) fn internal() -> ApiError {
        ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "InternalFailure",
            message: "The request processing has failed because of an unknown error, exception or failure."
                .to_owned(),
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> ApiError {
        ApiError::sender("MalformedQueryString", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> ApiError {
        ApiError::sender("ValidationError", message)
    }

    pub(crate) fn group_not_found() -> ApiError {
        ApiError::sender("TargetGroupNotFound", "One or more target groups not found")
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn response(&self, namespace: &str, request_id: &str) -> Response<Body> {
        let kind = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let (code, message) = (self.code, escape(&self.message));
        let xml = format!(
            "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        );
        respond(self.status, request_id, xml)
    }
}

/// Wraps the content of a `Result` element.
pub(crate) fn success(namespace: &str, action: &str, result: &str, request_id: &str) -> Response<Body> {
    let xml = format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    );
    respond(StatusCode::OK, request_id, xml)
}

fn respond(status: StatusCode, request_id: &str, xml: String) -> Response<Body> {
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", axum::http::HeaderValue::from_static("text/xml"));
    if let Ok(id) = request_id.parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// A response that is cut off: over a socket the connection closes, in process the body is an error.
pub(crate) fn lost() -> Response<Body> {
    Response::new(Body::new(BreaksOff.map_err(io::Error::other)))
}

struct BreaksOff;

impl axum::body::HttpBody for BreaksOff {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(Some(Err("the connection was lost")))
    }
}

/// Escapes text for XML. XML 1.0 does not allow most control characters, not even escaped, so they become replacement
/// characters.
fn escape(text: &str) -> Cow<'_, str> {
    // Ids and numbers need no escaping, and a response about a large fleet has thousands of them.
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -._:/=+".contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let illegal =
        |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    Cow::Owned(escape::escape(text.replace(illegal, "\u{fffd}")).into_owned())
}

/// Writes an element that contains text.
pub(crate) fn text(out: &mut String, name: &str, value: impl AsRef<str>) {
    within(out, name, |out| out.push_str(&escape(value.as_ref())));
}

/// Writes an element that contains others.
pub(crate) fn within(out: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    tag(out, "<", name);
    inside(out);
    tag(out, "</", name);
}

/// Writes the attributes of a target group or a load balancer.
pub(crate) fn attributes<'a>(out: &mut String, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    within(out, "Attributes", |out| {
        for (key, value) in pairs {
            within(out, "member", |out| {
                text(out, "Key", key);
                text(out, "Value", value);
            });
        }
    });
}

fn tag(out: &mut String, open: &str, name: &str) {
    out.push_str(open);
    out.push_str(name);
    out.push('>');
}
