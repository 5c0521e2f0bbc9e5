//! Target groups that cannot be made, and what is said about it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use local_alb::{CreateError, TargetGroupSettings};
use support::{alb, group};

fn refused(settings: TargetGroupSettings) -> CreateError {
    alb().create_target_group(settings).unwrap_err()
}

#[tokio::test]
async fn a_name_is_letters_digits_and_hyphens() {
    for name in ["a", "web-2", &"x".repeat(32)] {
        assert!(alb().create_target_group(group(name, &[])).is_ok(), "{name}");
    }
    for name in ["", "a_b", "a/b", "a b", "\u{e4}", &"x".repeat(33)] {
        let error = refused(group(name, &[]));
        assert_eq!(error, CreateError::IllegalName(name.to_owned()));
        assert!(error.to_string().contains("1 to 32 letters, digits and hyphens"), "{error}");
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let alb = alb();
    alb.create_target_group(group("web", &[])).unwrap();
    let error = alb.create_target_group(group("web", &[])).unwrap_err();
    assert_eq!(error, CreateError::Exists("web".to_owned()));
}

#[tokio::test]
async fn attributes_are_those_that_aws_knows_with_its_ranges() {
    for (key, value, why) in [
        ("nonsense", "1", "'nonsense' is not recognized"),
        (support::DELAY, "3601", "between 0 and 3600"),
        (support::DELAY, "", "between 0 and 3600"),
    ] {
        let mut settings = group("web", &[]);
        settings.attributes.insert(key.to_owned(), value.to_owned());
        let error = refused(settings).to_string();
        assert!(error.contains("target group web") && error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn tags_are_legal_and_not_too_many() {
    for (key, value) in [("aws:x", "1"), ("a|b", ""), ("", "1"), ("key", "{}")] {
        let settings =
            TargetGroupSettings { tags: [(key.to_owned(), value.to_owned())].into(), ..group("web", &[]) };
        assert_eq!(
            refused(settings),
            CreateError::IllegalTag { group: "web".to_owned(), key: key.to_owned() }
        );
    }
    let tags = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
    let error = refused(TargetGroupSettings { tags, ..group("web", &[]) });
    assert_eq!(error, CreateError::TooManyTags { group: "web".to_owned(), count: 51 });
}

#[tokio::test]
async fn initial_targets_are_known_instances() {
    let error = refused(group("web", &[("i-0a000001", 80)]));
    assert!(
        error.to_string().contains("i-0a000001 is not a known instance; add the instance first"),
        "{error}"
    );
}
