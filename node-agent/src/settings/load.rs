//! Reads the settings.

use super::{DEFAULT_FILE, Flags, Settings, SettingsError};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Size limit of the file, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;

impl Settings {
    /// Reads the file, applies the flags and checks the result. The default file may be missing.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file and the key.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Settings, SettingsError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match read(path) {
            Ok(text) => text,
            Err(cause) if file.is_none() && cause.kind() == io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(SettingsError::Read { path: path.into(), cause }),
        };
        let parse = |cause| SettingsError::Parse { path: path.into(), cause };
        // Parse as settings first: the error points at the line.
        toml::from_str::<Settings>(&text).map_err(parse)?;
        let written: toml::Table = toml::from_str(&text).map_err(parse)?;
        under(written, flags)?.try_into::<Settings>().map_err(parse)?.checked()
    }

    /// The flags over the defaults, for verbs that work without a usable file. `state_dir` is still read from the file, if
    /// possible.
    ///
    /// # Errors
    /// [`SettingsError`], if the flags are wrong.
    pub fn without(file: Option<&Path>, flags: &Flags) -> Result<Settings, SettingsError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = read(path).unwrap_or_default();
        let mut written: toml::Table = toml::from_str(&text).unwrap_or_default();
        written.retain(|key, value| key == "state_dir" && value.is_str());
        let parse = |cause| SettingsError::Parse { path: path.into(), cause };
        under(written, flags)?.try_into::<Settings>().map_err(parse)?.checked()
    }
}

/// The settings of the file, overridden by the flags.
fn under(mut written: toml::Table, flags: &Flags) -> Result<toml::Table, SettingsError> {
    let over = toml::Table::try_from(flags).map_err(|e| SettingsError::Contradiction(e.to_string()))?;
    written.extend(over);
    Ok(written)
}

/// Reads the file up to its size limit.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(io::Error::other(format!("the file is longer than {LONGEST_FILE} bytes")));
    }
    Ok(text)
}
