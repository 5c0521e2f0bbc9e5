//! Lengths of time, as people write them.

use node_agent::machine::time::Length;
use proptest::prelude::*;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn nearly_a_length() -> impl Strategy<Value = String> {
    let unit = prop::sample::select(vec!["ms", "s", "m", "h", "d", "y", "ns", "seconds", "", "PT"]);
    let number = prop_oneof![
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        Just("1e999".to_owned()),
        Just("9".repeat(400)),
    ];
    prop::collection::vec((number, unit), 0..4)
        .prop_map(|parts| parts.into_iter().map(|(number, unit)| format!("{number}{unit} ")).collect())
}

proptest! {
    #[test]
    fn any_text_is_a_length_up_to_a_year_or_refused(text in prop_oneof![any::<String>(), nearly_a_length()]) {
        match text.parse::<Length>() {
            Ok(length) => prop_assert!(length.0 <= YEAR),
            Err(error) => prop_assert!(error.contains("is not a length of time such as"), "{error}"),
        }
    }

    #[test]
    fn what_is_printed_is_read_back(millis in 0..=365 * 24 * 3_600_000u64) {
        let length = Length(Duration::from_millis(millis));
        prop_assert_eq!(length.to_string().parse(), Ok(length));
        prop_assert_eq!(String::from(length).parse(), Ok(length));
    }
}
