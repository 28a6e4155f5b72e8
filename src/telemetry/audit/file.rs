//! A file that lines are added to, and that is made anew when it has grown.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::FileSettings;
use crate::telemetry::seldom::Seldom;
use crate::telemetry::sink::write_whole;

/// A file that whole lines are added to.
///
/// It may be renamed by somebody else, as logrotate does: the next lines go to a new one.
#[derive(Debug)]
pub(super) struct Rotating {
    settings: FileSettings,
    file: File,
    told: Seldom,
}

impl Rotating {
    /// Opens the file, or makes it. A line that breaks off at its end, as when the machine lost its power, is ended.
    ///
    /// If its path is a link, the file and those before it stay in the folder that the link leads to.
    pub(super) fn open(mut settings: FileSettings) -> io::Result<Self> {
        let file = open(&settings)?;
        settings.path = fs::canonicalize(&settings.path)?;
        Ok(Self {
            file,
            settings,
            told: Seldom::new(),
        })
    }

    /// Adds lines, all or none of them.
    fn add(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = self.settle(lines.len())?;
        let written = write_whole(&mut self.file, lines);
        if written.is_err() {
            // What has been written of them would spoil the next one. Another process may have added its own meanwhile.
            let most = length + bytes(lines.len());
            if self.file.metadata().is_ok_and(|found| found.len() <= most) {
                let _ = self.file.set_len(length);
            }
        }
        written
    }

    /// Sees to it that the file is in its place and has room for `more` bytes, and returns how long it is.
    fn settle(&mut self, more: usize) -> io::Result<u64> {
        let found = fs::metadata(&self.settings.path);
        let own = self.file.metadata()?;
        if !found.is_ok_and(|found| is_same(&found, &own)) {
            self.file = open(&self.settings)?;
        }
        let length = self.file.metadata()?.len();
        if length == 0 || length + bytes(more) <= self.settings.max_bytes {
            return Ok(length);
        }
        if let Err(error) = self.rotate() {
            if self.told.is_due() {
                let path = self.settings.path.display();
                tracing::warn!(%error, %path, "the audit's file has grown and cannot be renamed; it goes on growing");
            }
            return Ok(length);
        }
        Ok(self.file.metadata()?.len())
    }

    /// Renames the file and those before it, removes what is more than shall be kept, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = OsString::from(&self.settings.path);
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let keep = self.settings.keep.max(1);
        for number in (1..keep).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.settings.path, numbered(1))?;
        self.file = open(&self.settings)?;
        // There are more when fewer shall be kept than before.
        let mut number = keep + 1;
        while fs::remove_file(numbered(number)).is_ok() {
            number += 1;
        }
        Ok(())
    }
}

impl Write for Rotating {
    /// Takes all of the lines or none.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.add(lines).inspect_err(|error| {
            if self.told.is_due() {
                let path = self.settings.path.display();
                tracing::error!(%error, %path, "the audit cannot be written; its lines are dropped and counted");
            }
        })?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(settings: &FileSettings) -> io::Result<File> {
    let path = &settings.path;
    // A pipe without a reader would keep whoever opens it waiting.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let what = "it is no regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if let Some(last) = file.metadata()?.len().checked_sub(1) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, last)?;
        if byte != *b"\n" {
            write_whole(&mut &file, b"\n")?;
        }
    }
    Ok(file)
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    fn settings(folder: &Path, max_bytes: u64, keep: usize) -> FileSettings {
        FileSettings {
            path: folder.join("audit.log"),
            max_bytes,
            keep,
        }
    }

    fn contents(folder: &TempDir) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    fn expected(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        files.iter().map(owned).collect()
    }

    #[test]
    fn files_stay_where_a_link_leads_to() {
        let (links, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let linked = links.path().join("audit.log");
        std::os::unix::fs::symlink(folder.path().join("audit.log"), linked).unwrap();
        let mut file = Rotating::open(settings(links.path(), 5, 2)).unwrap();
        for line in ["one\n", "two\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }

        let all = [("audit.log", "two\n"), ("audit.log.1", "one\n")];
        assert_eq!(contents(&folder), expected(&all));
        assert_eq!(fs::read_dir(links.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_has_grown_is_renamed_and_as_many_are_kept_as_shall_be() {
        let folder = TempDir::new().unwrap();
        let mut file = Rotating::open(settings(folder.path(), 10, 2)).unwrap();
        for line in [
            "one\n",
            "two\n",
            "three\n",
            "longer than ten\n",
            "5\n",
            "6\n",
        ] {
            assert_eq!(file.write(line.as_bytes()).unwrap(), line.len());
        }

        let all = [
            ("audit.log", "5\n6\n"),
            ("audit.log.1", "longer than ten\n"),
            ("audit.log.2", "three\n"),
        ];
        assert_eq!(contents(&folder), expected(&all));
        let mode = fs::metadata(folder.path().join("audit.log"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        let mut file = Rotating::open(settings(folder.path(), 4, 1)).unwrap();
        file.write_all(b"7\n").unwrap();
        let all = [("audit.log", "7\n"), ("audit.log.1", "5\n6\n")];
        assert_eq!(contents(&folder), expected(&all));
    }

    #[test]
    fn a_file_that_somebody_else_renames_or_removes_is_made_anew() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = Rotating::open(settings(folder.path(), 1000, 2)).unwrap();

        file.write_all(b"one\n").unwrap();
        fs::rename(&path, folder.path().join("audit.log-20261126")).unwrap();
        file.write_all(b"two\n").unwrap();
        fs::remove_file(&path).unwrap();
        file.write_all(b"three\n").unwrap();

        let all = [("audit.log", "three\n"), ("audit.log-20261126", "one\n")];
        assert_eq!(contents(&folder), expected(&all));
    }

    #[test]
    fn a_line_that_broke_off_does_not_spoil_the_next() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.log");
        fs::write(&path, "{\"half").unwrap();

        let mut file = Rotating::open(settings(folder.path(), 1000, 2)).unwrap();
        file.write_all(b"{}\n").unwrap();

        assert_eq!(fs::read_to_string(path).unwrap(), "{\"half\n{}\n");
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = TempDir::new().unwrap();
        let pipe = settings(Path::new("/dev"), 1000, 2);
        let pipe = FileSettings {
            path: "/dev/null".into(),
            ..pipe
        };
        assert_eq!(
            Rotating::open(pipe).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        fs::create_dir(folder.path().join("audit.log")).unwrap();
        assert!(Rotating::open(settings(folder.path(), 1000, 2)).is_err());
    }
}
