//! Errors in one line.

use std::error::Error;

/// An error and its causes in one line, without repetition. Many libraries leave the useful cause out of their own text, or
/// repeat it there. Only the first line of each is kept; the rest is for debugging.
pub fn causes(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string().lines().next().unwrap_or_default().to_owned();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_and_its_causes_are_one_line_without_repetition() {
        let innermost = anyhow::anyhow!("connection refused\n  by 127.0.0.1:9");
        let error = innermost.context("no connection").context("no answer: no connection");
        assert_eq!(causes(error.as_ref()), "no answer: no connection: connection refused");
    }
}
