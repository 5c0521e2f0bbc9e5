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

/// Turns a client's request into one to the target, with `X-Forwarded-*` headers.
pub(super) fn rewrite(
    request: &mut Request<Body>,
    to: SocketAddr,
    connection: Connection,
) -> Result<(), Error> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let authority = Authority::try_from(to.to_string())?;
    *request.uri_mut() =
        Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build()?;
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
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|names| names.split(',')).filter_map(|name| name.trim().parse().ok());
    let named: Vec<HeaderName> = named.collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
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
        let connection = Connection { from: "127.0.0.1:50000".parse().unwrap(), port: 8000 };
        rewrite(&mut request, "127.0.0.2:80".parse().unwrap(), connection).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.2:80/a?b=c");
        let header = |name| request.headers()[name].to_str().unwrap();
        assert_eq!(header("x-forwarded-for"), "10.0.0.8, 10.0.0.9, 127.0.0.1");
        assert_eq!((header("x-forwarded-port"), header("x-forwarded-proto")), ("8000", "http"));
    }
}
