//! Where `${env:…}`, `${file:…}` and `ca_file` get their values from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The outside world as configuration sees it.
pub trait Sources {
    /// Returns the environment variable `name`, or `None` when it is not set.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Returns the content of the file at `path`.
    ///
    /// # Errors
    /// What the system says, and [`io::ErrorKind::FileTooLarge`] when the file has more than `most_bytes`.
    fn file(&self, path: &Path, most_bytes: u64) -> io::Result<Vec<u8>>;

    /// Returns the configuration files of the folder at `path`, in the order of their names, or `None` when it is no folder.
    ///
    /// What begins with a dot is left out: editors keep copies there, and a `ConfigMap` volume its `..data`.
    fn folder(&self, path: &Path) -> Option<io::Result<Vec<PathBuf>>>;

    /// Returns the permission bits of the file at `path` if every user of the machine may read it: by its own bits, those of
    /// what a symbolic link leads to, and by those of all folders on the way.
    fn mode_if_open_to_all(&self, path: &Path) -> Option<u32>;
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Sources for Process {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn file(&self, path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // One byte more than is allowed tells a file that is too large from one that just fits. A named
        // pipe or device that never ends is cut off the same way.
        File::open(path)?
            .take(most_bytes.saturating_add(1))
            .read_to_end(&mut content)?;
        within(content, most_bytes)
    }

    fn folder(&self, path: &Path) -> Option<io::Result<Vec<PathBuf>>> {
        path.is_dir().then(|| files(path))
    }

    fn mode_if_open_to_all(&self, path: &Path) -> Option<u32> {
        let file = fs::canonicalize(path).ok()?;
        let mode = |path: &Path| Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777);
        let own = mode(&file).filter(|mode| mode & READ_BY_OTHERS != 0)?;
        let mut folders = file.ancestors().skip(1);
        let leads_there = |folder| mode(folder).is_some_and(|mode| mode & PASSED_BY_OTHERS != 0);
        folders.all(leads_there).then_some(own)
    }
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        // Through symbolic links, which is what a ConfigMap volume is made of.
        if !hidden && yaml && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The bit of a file's mode that lets everybody read it.
const READ_BY_OTHERS: u32 = 0o004;
/// The bit of a folder's mode that lets everybody reach what is in it.
const PASSED_BY_OTHERS: u32 = 0o001;

/// Variables and files given by the program, and nothing else.
#[derive(Clone, Default)]
pub struct Supplied {
    variables: BTreeMap<String, OsString>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Supplied {
    /// Adds a variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }
}

impl Sources for Supplied {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(content) => within(content.clone(), most_bytes),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn folder(&self, _: &Path) -> Option<io::Result<Vec<PathBuf>>> {
        None
    }

    fn mode_if_open_to_all(&self, _: &Path) -> Option<u32> {
        None
    }
}

/// Shows the names only, since the values may be secrets.
impl fmt::Debug for Supplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.keys().map(PathBuf::from);
        f.debug_set()
            .entries(names.chain(self.files.keys().cloned()))
            .finish()
    }
}

fn within(content: Vec<u8>, most_bytes: u64) -> io::Result<Vec<u8>> {
    match u64::try_from(content.len()) {
        Ok(length) if length <= most_bytes => Ok(content),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Says in the operator's words why a file could not be read.
pub(super) fn reason(error: &io::Error) -> String {
    // The remaining kinds are many, and the system's own words serve them well.
    #[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is open")]
    match error.kind() {
        io::ErrorKind::FileTooLarge => "is too large".to_owned(),
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this process".to_owned(),
        kind => format!("cannot be read: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let sources = Supplied::default()
            .with_variable("NAME", "hidden")
            .with_file("/path", "hidden");

        let shown = format!("{sources:?}");

        assert!(shown.contains("NAME") && shown.contains("/path") && !shown.contains("hidden"));
    }

    #[test]
    fn a_file_over_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "12345").unwrap();

        assert_eq!(Process.file(&path, 5).unwrap(), b"12345");
        let error = Process.file(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
