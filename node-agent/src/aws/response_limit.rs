//! Answers of AWS services, read up to a limit, so that a wrong or malicious server cannot fill the memory.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// Reading fails once an answer is longer than this, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound(pub(crate) usize);

impl Bound {
    fn bind(self, answer: &mut HttpResponse) {
        let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
        *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, self.0));
    }
}

/// For clients that are configured with interceptors.
#[dyn_dispatch_hint]
impl Intercept for Bound {
    fn name(&self) -> &'static str {
        "Bound"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.bind(context.response_mut());
        Ok(())
    }
}

/// For clients that are configured with an HTTP client.
#[derive(Debug)]
pub(crate) struct BoundedClient {
    pub(crate) inner: SharedHttpClient,
    pub(crate) bound: Bound,
}

impl HttpClient for BoundedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, bound: self.bound })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    bound: Bound,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, bound) = (self.inner.call(request), self.bound);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            bound.bind(&mut answer);
            Ok(answer)
        })
    }
}
