//! What README.md, the other pages beside it and docs/ name exists: links, files, scripts, commands, flags, tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by panicking"
)]

mod commands;
mod facts;
mod messages;
mod names;
mod page;
