//! Answers that come in pages: `PageSize`, `Marker` and `NextMarker`.

use super::answer::{ApiError, text};
use super::query::Query;

/// AWS's limit for `PageSize`.
const LARGEST_PAGE: usize = 400;

/// The marker of the next page, if there is one.
pub(super) fn next_marker(out: &mut String, first: usize, size: usize, all: usize) {
    let next = first.saturating_add(size);
    if next < all {
        text(out, "NextMarker", next.to_string());
    }
}

/// The first entry of the requested page, and the page size.
pub(super) fn page(query: &Query) -> Result<(usize, usize), ApiError> {
    let number = |name: &str, default: usize| match query.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| ApiError::validation(format!("{name} '{text}' is not valid"))),
    };
    let size: usize = number("PageSize", LARGEST_PAGE)?;
    if !(1..=LARGEST_PAGE).contains(&size) {
        return Err(ApiError::validation(format!("PageSize must be between 1 and {LARGEST_PAGE}")));
    }
    Ok((number("Marker", 0)?, size))
}
