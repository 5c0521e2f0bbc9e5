//! The instance metadata service, by hand and by the AWS SDK's own client.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use aws_config::{
    imds::{Client, client::error::ImdsError, credentials::ImdsCredentialsProvider},
    provider_config::ProviderConfig,
};
use support::{alb, instance, serve};

async fn endpoint() -> String {
    let alb = alb();
    alb.add_instance(instance("i-0123456789abcdef0"));
    format!("http://127.0.0.1:{}", serve(alb.aws().instance_metadata("i-0123456789abcdef0")).await)
}

#[tokio::test]
async fn the_sdk_finds_identity_and_credentials() {
    use aws_config::meta::credentials::CredentialsProviderChain;
    let client = Client::builder().endpoint(endpoint().await).unwrap().build();
    for (path, value) in [
        ("instance-id", "i-0123456789abcdef0"),
        ("placement/region", "us-east-1"),
        ("placement/availability-zone", "us-east-1a"),
        ("local-ipv4", "127.0.0.1"),
    ] {
        let found = client.get(format!("/latest/meta-data/{path}")).await.unwrap();
        assert_eq!(found.as_ref(), value);
    }
    let absent = client.get("/latest/meta-data/autoscaling/target-lifecycle-state").await.unwrap_err();
    let ImdsError::ErrorResponse(answer) = absent else { panic!("{absent:?}") };
    assert_eq!(answer.response().status().as_u16(), 404);
    let provider = ImdsCredentialsProvider::builder()
        .configure(&ProviderConfig::without_region())
        .imds_client(client)
        .build();
    let chain = CredentialsProviderChain::first_try("imds", provider);
    let credentials = aws_config::SdkConfig::builder()
        .credentials_provider(aws_sdk_elasticloadbalancingv2::config::SharedCredentialsProvider::new(chain))
        .build();
    let provider = credentials.credentials_provider().unwrap();
    use aws_sdk_elasticloadbalancingv2::config::ProvideCredentials;
    assert!(provider.provide_credentials().await.unwrap().expiry().is_some());
}

#[tokio::test]
async fn a_token_is_needed_and_has_to_be_asked_for_properly() {
    let (url, http) = (endpoint().await, reqwest::Client::new());
    let put = async |path: &str, ttl: &str| {
        let request = http.put(format!("{url}{path}")).header("x-aws-ec2-metadata-token-ttl-seconds", ttl);
        request.send().await.unwrap()
    };
    for bad in ["0", "21601", "soon", ""] {
        assert_eq!(put("/latest/api/token", bad).await.status(), 400, "{bad:?}");
    }
    assert_eq!(put("/2021-01-03/api/token", "60").await.status(), 403);
    let get = async |token: &str| {
        let request =
            http.get(format!("{url}/latest/meta-data/instance-id")).header("x-aws-ec2-metadata-token", token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get("made up").await, 401);
    let token = put("/latest/api/token", "21600").await.text().await.unwrap();
    assert_eq!(get(&token).await, 200);
}
