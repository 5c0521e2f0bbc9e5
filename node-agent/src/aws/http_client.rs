//! The HTTP client for AWS services: the SDK's own, except that a machine without CA certificates gets an error that says
//! so. The SDK would either panic or report an unknown issuer.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::error::Error;
use std::sync::OnceLock;

/// This machine has no CA certificates, so no server can be trusted.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no CA certificates; install the package ca-certificates, or set SSL_CERT_FILE")]
pub struct NoCertificates;

impl NoCertificates {
    /// Whether this is the reason for an error.
    pub(crate) fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(cause) = next {
            if cause.is::<NoCertificates>() {
                return true;
            }
            next = cause.source();
        }
        false
    }
}

/// A client for all AWS services.
pub(crate) fn client() -> SharedHttpClient {
    let with_tls = Builder::new().build_with_connector_fn(|settings, components| {
        ours(settings, components).tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    });
    let without_tls = Builder::new()
        .build_with_connector_fn(|settings, components| ours(settings, components).build_http());
    SharedHttpClient::new(Client { with_tls, without_tls, certificates: OnceLock::new() })
}

fn ours(
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> ConnectorBuilder {
    let mut builder = ConnectorBuilder::default();
    builder.set_connector_settings(settings.cloned());
    builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
    builder.set_proxy_config(Some(ProxyConfig::from_env()));
    builder
}

#[derive(Debug)]
struct Client {
    with_tls: SharedHttpClient,
    without_tls: SharedHttpClient,
    /// Set once there are any. Until then each call looks again: a person may install them meanwhile.
    certificates: OnceLock<()>,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        if self.certificates.get().is_none() && !rustls_native_certs::load_native_certs().certs.is_empty() {
            // Another thread may have set it.
            let _ = self.certificates.set(());
        }
        if self.certificates.get().is_some() {
            return self.with_tls.http_connector(settings, components);
        }
        SharedHttpConnector::new(WithoutTls(self.without_tls.http_connector(settings, components)))
    }
}

/// Refuses calls over https.
#[derive(Debug)]
struct WithoutTls(SharedHttpConnector);

impl HttpConnector for WithoutTls {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("https:") {
            let error = ConnectorError::other(NoCertificates.into(), None).never_connected();
            return HttpConnectorFuture::ready(Err(error));
        }
        self.0.call(request)
    }
}
