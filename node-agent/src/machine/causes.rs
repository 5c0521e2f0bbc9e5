//! Errors in one line.

use std::error::Error;

/// An error and its causes in one line, without what one of them says twice. Many libraries leave the cause that helps out
/// of their own text, or repeat it there; what they add in further lines is for a debugger.
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
    fn an_error_is_told_with_its_causes_in_one_line_and_nothing_twice() {
        let innermost = anyhow::anyhow!("connection refused\n  by 127.0.0.1:9");
        let error = innermost.context("no connection").context("no answer: no connection");
        assert_eq!(causes(error.as_ref()), "no answer: no connection: connection refused");
    }
}
