//! The profiles that operators have on their laptops.

use crate::estate::{Estate, estate};

const PROFILES: &str = "\
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
[profile ops]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Operator
region = eu-west-1
[profile process]
credential_process = /bin/echo '{\"Version\":1,\"AccessKeyId\":\"x\",\"SecretAccessKey\":\"y\"}'
region = eu-west-1
[profile signed-in]
login_session = arn:aws:iam::111122223333:user/ops
region = eu-west-1
";

async fn laptop(profile: &str) -> Estate {
    let estate = estate().await.with("AWS_EC2_METADATA_DISABLED", "true");
    let home = estate.dir.path().display().to_string();
    std::fs::create_dir(estate.dir.path().join(".aws")).unwrap();
    std::fs::write(estate.dir.path().join(".aws/config"), PROFILES).unwrap();
    estate.with("HOME", &home).with("AWS_PROFILE", profile).with("PATH", "/usr/bin:/bin")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_is_run() {
    let laptop = laptop("process").await;
    laptop.agent(&["pause", "release day"]).await.says(0, &["web: paused"]);
    laptop.agent(&["status"]).await.says(0, &["3 of 3 instances healthy", "paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_whose_session_has_ended_is_told_how_to_sign_in() {
    for (profile, login) in
        [("ops", "aws sso login --profile ops"), ("signed-in", "aws login --profile signed-in")]
    {
        let laptop = laptop(profile).await;
        for verb in
            [["status"].as_slice(), &["pause", "release day"], &["lease", "break", "i-0a000000000000001"]]
        {
            laptop.agent(verb).await.says(2, &["failed to get AWS credentials", login]);
        }
    }
}
