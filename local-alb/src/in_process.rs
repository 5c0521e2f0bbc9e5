//! An HTTP client for the AWS SDK that calls a router in process. Without sockets, a paused clock does not advance while
//! a response is on its way.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use tower::ServiceExt;

/// An `http_client` for the SDK.
#[derive(Debug, Clone)]
pub struct InProcess(Router);

impl InProcess {
    /// Sends every request to this router.
    pub fn new(router: Router) -> InProcess {
        InProcess(router)
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let router = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.bytes().unwrap_or_default().to_vec();
            let request = axum::http::Request::from_parts(parts, Body::from(body));
            let Ok(answer) = router.oneshot(request).await;
            let (parts, body) = answer.into_parts();
            // A lost response is a body that ends with an error.
            let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?.to_bytes();
            let answer = axum::http::Response::from_parts(parts, SdkBody::from(body.to_vec()));
            answer.try_into().map_err(|error: aws_smithy_runtime_api::http::HttpError| {
                ConnectorError::other(error.into(), None)
            })
        })
    }
}
