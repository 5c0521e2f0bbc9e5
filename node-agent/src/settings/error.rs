//! Why settings cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error(
        "failed to read the configuration {path}: {cause}; make it readable, or name another with --config"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file is not TOML, or has an unknown key or value.
    #[error(
        "failed to parse the configuration {path}: {}\ncorrect it; docs/configuration.md lists every setting",
        .cause.to_string().trim_end()
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: toml::de::Error,
    },
    /// Variables of the environment cannot be parsed.
    #[error("failed to parse {0}; correct it where the unit or the shell gets its environment")]
    Environment(String),
    /// A value is out of range, or contradicts another.
    #[error("failed to use the configuration: {0}")]
    Contradiction(String),
}
