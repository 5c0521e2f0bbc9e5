//! Whatever others write, answer or configure: it is understood, or refused with a message, or counts as unknown. Never a
//! panic, never more memory than there is a bound for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test says what it expects by panicking"
)]

mod api_answers;
mod api_lies;
mod canned;
mod lengths;
mod metadata;
mod server;
mod service;
mod settings;
mod tags;
