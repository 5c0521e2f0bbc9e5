//! Formats numbers for people.

/// `12,345`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3 s`
pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

/// `12 ms`
pub(crate) fn milliseconds(milliseconds: f64) -> String {
    format!("{milliseconds:.0} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let texts: Vec<String> = [0, 7, 999, 1_000, 54_321, 1_234_567].into_iter().map(count).collect();
        assert_eq!(texts, ["0", "7", "999", "1,000", "54,321", "1,234,567"]);
    }
}
