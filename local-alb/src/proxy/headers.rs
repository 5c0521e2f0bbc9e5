//! The headers that the load balancer changes in requests and responses.

use crate::serve::Connection;
use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{Error, HeaderMap, Request, Uri, Version};
use std::net::SocketAddr;

/// Hop-by-hop headers, in addition to those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The most bytes of a request line, and of one header (ALB user guide, "Quotas", section "HTTP headers").
const LONGEST_LINE: usize = 16 * 1024;
/// The most bytes of all of a request's headers, and of all of a response's headers (ibid.).
const LONGEST_REQUEST: usize = 64 * 1024;
const LONGEST_RESPONSE: usize = 32 * 1024;

/// Whether the request line, one header or all of them are longer than an ALB takes.
pub(super) fn too_long<B>(request: &Request<B>) -> bool {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1".len();
    let headers = request.headers();
    line > LONGEST_LINE
        || headers.iter().any(|(name, value)| length(name, value) > LONGEST_LINE)
        || total(headers) > LONGEST_REQUEST
}

/// Whether the headers of a response are longer than an ALB takes.
pub(super) fn response_too_long(headers: &HeaderMap) -> bool {
    total(headers) > LONGEST_RESPONSE
}

fn total(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| length(name, value)).sum()
}

/// The length of a header's line, with its end.
fn length(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + ": ".len() + value.len() + "\r\n".len()
}

/// Whether the client asks for a WebSocket. An ALB passes no other protocol on.
pub(super) fn asks_for_web_socket(headers: &HeaderMap) -> bool {
    let upgrades = named(headers).any(|name| name.eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrades && protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// Asks for a WebSocket, or agrees to one.
pub(super) fn upgrade_to_web_socket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Turns a client's request into one to the target, with `X-Forwarded-*` headers.
pub(super) fn rewrite(
    request: &mut Request<Body>,
    scheme: Scheme,
    to: SocketAddr,
    connection: &Connection,
) -> Result<(), Error> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let authority = Authority::try_from(to.to_string())?;
    *request.uri_mut() = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build()?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    drop_hop_by_hop(headers);
    let client = connection.from.ip();
    let mut chain: Vec<String> = forwarded(headers).map(ToOwned::to_owned).collect();
    chain.push(client.to_string());
    headers.insert("x-forwarded-for", HeaderValue::try_from(chain.join(", "))?);
    headers.insert("x-forwarded-port", HeaderValue::from(connection.port));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    Ok(())
}

/// The addresses of all `X-Forwarded-For` lines.
pub(super) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|address| !address.is_empty())
}

pub(super) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = named(headers).filter_map(|name| name.parse().ok()).collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// What `Connection` names.
fn named(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_and_those_it_names_are_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("connection", "x-other,, not a name"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("x-kept", "3"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-kept"]);
    }

    #[test]
    fn the_target_learns_where_a_request_came_from() {
        let request = Request::get("/a?b=c").header("x-forwarded-for", "10.0.0.8");
        let mut request = request.header("x-forwarded-for", "10.0.0.9").body(Body::empty()).unwrap();
        let connection = Connection::of("127.0.0.1:50000".parse().unwrap(), 8000).0;
        rewrite(&mut request, Scheme::HTTP, "127.0.0.2:80".parse().unwrap(), &connection).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.2:80/a?b=c");
        let header = |name| request.headers()[name].to_str().unwrap();
        assert_eq!(header("x-forwarded-for"), "10.0.0.8, 10.0.0.9, 127.0.0.1");
        assert_eq!((header("x-forwarded-port"), header("x-forwarded-proto")), ("8000", "http"));
    }
}
