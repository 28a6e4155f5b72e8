//! Notices when a file that the configuration was read from has changed, and reads it anew.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};

use super::sources::Sources;
use super::{Diagnostics, Process, Settings, load, load_from};

/// The files that a configuration was read from, and what was in them.
///
/// They are looked at and not subscribed to: this works for the symbolic links that Kubernetes swaps under a mounted
/// Secret, for network file systems, and where a container has no inotify to give.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    state: RandomState,
    /// What the configuration, and others that it names, were read from: each may be a folder.
    roots: BTreeSet<PathBuf>,
    /// What was in the files when they were read, or read in vain.
    read: Contents,
    /// What was in them at the last look.
    seen: Contents,
}

/// A hash of what each file held, `None` for one that could not be read.
type Contents = BTreeMap<PathBuf, Seen>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    most_bytes: u64,
    hash: Option<u64>,
}

impl Watch {
    /// Loads the configuration at `path` with the files and the environment of this process, and watches what it was
    /// read from.
    pub fn load(path: &Path) -> (Result<Settings, Diagnostics>, Self) {
        let mut watch = Self {
            path: path.to_owned(),
            state: RandomState::new(),
            roots: BTreeSet::new(),
            read: Contents::new(),
            seen: Contents::new(),
        };
        let loaded = watch.read();
        (loaded, watch)
    }

    /// Looks at the files. Returns the configuration when they have changed since they were read, and have been the same
    /// at two looks: what is being written is left alone until it is done.
    ///
    /// A configuration with faults is returned once and not again before another change. Blocks while it reads.
    pub fn look(&mut self) -> Option<Result<Settings, Diagnostics>> {
        let now = self.contents(&self.read);
        if now == self.read || now != self.seen {
            self.seen = now;
            return None;
        }
        let (loaded, read) = self.load_once();
        let after = self.contents(&read);
        if after != read {
            // It changed while it was read, so that parts of it may not belong together.
            self.seen = after;
            return None;
        }
        self.read.clone_from(&read);
        self.seen = read;
        Some(loaded)
    }

    /// Reads the files now, changed or not. Blocks while it reads.
    ///
    /// What changes while it is read is read again, a few times at most.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(&mut self) -> Result<Settings, Diagnostics> {
        let mut tries = 1;
        loop {
            let (loaded, read) = self.load_once();
            if tries == MOST_TRIES || self.contents(&read) == read {
                self.read.clone_from(&read);
                self.seen = read;
                return loaded;
            }
            tries += 1;
        }
    }

    fn load_once(&mut self) -> (Result<Settings, Diagnostics>, Contents) {
        let recorder = Recorder {
            state: &self.state,
            roots: RefCell::default(),
            read: RefCell::default(),
        };
        let loaded = load_from(&self.path, &recorder, &recorder);
        let Recorder { roots, read, .. } = recorder;
        self.roots = roots.into_inner();
        (loaded, read.into_inner())
    }

    /// Returns what is in the files now: in those that were `read`, and in those that are new in a folder.
    fn contents(&self, read: &Contents) -> Contents {
        let mut bounds: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for root in &self.roots {
            // One that cannot be listed has nothing new.
            for file in Process
                .folder(root)
                .and_then(Result::ok)
                .unwrap_or_default()
            {
                bounds.insert(file, load::MOST_BYTES);
            }
        }
        let known = read.iter();
        bounds.extend(known.map(|(path, seen)| (path.clone(), seen.most_bytes)));
        let recorder = Recorder {
            state: &self.state,
            roots: RefCell::default(),
            read: RefCell::default(),
        };
        for (path, most_bytes) in &bounds {
            // What cannot be read is a content too.
            let _ = recorder.file(path, *most_bytes);
        }
        recorder.read.into_inner()
    }
}

/// How often one reading begins anew. Files that change all the time are taken as they were read last.
const MOST_TRIES: u32 = 5;

/// Remembers what it is asked for.
struct Recorder<'a> {
    state: &'a RandomState,
    roots: RefCell<BTreeSet<PathBuf>>,
    read: RefCell<Contents>,
}

impl Sources for Recorder<'_> {
    fn variable(&self, name: &str) -> Option<OsString> {
        Process.variable(name)
    }

    fn file(&self, path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
        let content = Process.file(path, most_bytes);
        let hash = content.as_ref().ok();
        let hash = hash.map(|content| self.state.hash_one(content));
        self.read
            .borrow_mut()
            .insert(path.to_owned(), Seen { most_bytes, hash });
        content
    }

    fn folder(&self, path: &Path) -> Option<io::Result<Vec<PathBuf>>> {
        self.roots.borrow_mut().insert(path.to_owned());
        Process.folder(path)
    }

    fn mode_if_open_to_all(&self, path: &Path) -> Option<u32> {
        Process.mode_if_open_to_all(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A folder as Kubernetes mounts a Secret: the file is a link through `..data`, which is a link to a folder.
    fn mount(folder: &Path, version: &str, secret: &str) {
        let data = folder.join(version);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("secret"), secret).unwrap();
        symlink(version, folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    }

    fn configuration(folder: &Path) -> PathBuf {
        let path = folder.join("gateway.yaml");
        let secret = folder.join("secret");
        fs::write(
            &path,
            format!(
                "credentials:\n  a: {{ organization: o@AdobeOrg, client_id: c, client_secrets: ['${{file:{}}}'] }}\n\
                 sandboxes: {{ dev: {{}} }}\n",
                secret.display()
            ),
        )
        .unwrap();
        path
    }

    fn secret(settings: &Settings) -> &str {
        settings.ims.credentials[0].client_secrets[0].expose()
    }

    #[test]
    fn a_link_that_is_swapped_is_noticed_once_it_rests() {
        let folder = TempDir::new().unwrap();
        let path = configuration(folder.path());
        mount(folder.path(), "..1", "one");
        symlink("..data/secret", folder.path().join("secret")).unwrap();
        let (loaded, mut watch) = Watch::load(&path);
        assert_eq!(secret(&loaded.unwrap()), "one");

        assert!(watch.look().is_none());
        mount(folder.path(), "..2", "two");
        assert!(watch.look().is_none(), "it may still be changing");
        let changed = watch.look().expect("it has been the same at two looks");
        assert_eq!(secret(&changed.unwrap()), "two");
        assert!(watch.look().is_none());
    }

    #[test]
    fn what_is_half_written_is_told_once_and_whole_again() {
        let folder = TempDir::new().unwrap();
        let path = configuration(folder.path());
        let secret_file = folder.path().join("secret");
        fs::write(&secret_file, "one").unwrap();
        let (_, mut watch) = Watch::load(&path);

        fs::write(&secret_file, "").unwrap();
        assert!(watch.look().is_none());
        assert!(watch.look().unwrap().is_err());
        assert!(watch.look().is_none() && watch.look().is_none());
        fs::remove_file(&secret_file).unwrap();
        assert!(watch.look().is_none());
        assert!(watch.look().unwrap().is_err());
        fs::write(&secret_file, "two").unwrap();
        assert!(watch.look().is_none());
        assert_eq!(secret(&watch.look().unwrap().unwrap()), "two");
    }

    #[test]
    fn who_asks_gets_what_is_there_now_and_is_not_told_again() {
        let folder = TempDir::new().unwrap();
        let path = configuration(folder.path());
        let secret_file = folder.path().join("secret");
        fs::write(&secret_file, "one").unwrap();
        let (_, mut watch) = Watch::load(&path);

        assert_eq!(secret(&watch.read().unwrap()), "one");
        fs::write(&secret_file, "two").unwrap();
        assert_eq!(secret(&watch.read().unwrap()), "two");
        assert!(watch.look().is_none() && watch.look().is_none());
        fs::write(&secret_file, "").unwrap();
        assert!(watch.read().is_err());
        assert!(watch.look().is_none() && watch.look().is_none());
    }

    #[test]
    fn a_folder_that_goes_and_comes_back_is_noticed_both_times() {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("mount");
        fs::create_dir(&folder).unwrap();
        configuration(&folder);
        fs::write(folder.join("secret"), "one").unwrap();
        let (loaded, mut watch) = Watch::load(&folder);
        let outline = loaded.unwrap().outline;

        let away = parent.path().join("away");
        fs::rename(&folder, &away).unwrap();
        assert!(watch.look().is_none());
        assert!(watch.look().unwrap().is_err());
        assert!(watch.look().is_none());
        fs::rename(&away, &folder).unwrap();
        assert!(watch.look().is_none());
        assert!(watch.look().unwrap().unwrap().outline == outline);
    }

    #[test]
    fn a_file_that_comes_into_the_folder_is_noticed() {
        let folder = TempDir::new().unwrap();
        configuration(folder.path());
        fs::write(folder.path().join("secret"), "one").unwrap();
        let (_, mut watch) = Watch::load(folder.path());

        fs::write(folder.path().join("more.yaml"), "drain: 5s\n").unwrap();
        watch.look();
        let changed = watch.look().unwrap().unwrap();

        assert_eq!(changed.drain.timeout.as_secs(), 5);
        assert!(watch.look().is_none());
    }

    #[test]
    fn a_new_certificate_is_noticed_once_its_key_is_there_too() {
        let folder = TempDir::new().unwrap();
        let path = configuration(folder.path());
        fs::write(folder.path().join("secret"), "one").unwrap();
        let (of_certificate, of_key) = (folder.path().join("crt"), folder.path().join("key"));
        let listeners = format!(
            "listeners: [{{ tls: {{ certificate: '{}', key: '{}' }} }}]\n",
            of_certificate.display(),
            of_key.display()
        );
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{listeners}")).unwrap();
        let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (old, new) = (made(), made());
        fs::write(&of_certificate, old.cert.pem()).unwrap();
        fs::write(&of_key, old.signing_key.serialize_pem()).unwrap();
        let (loaded, mut watch) = Watch::load(&path);
        let before = loaded.unwrap().listeners.remove(0);

        fs::write(&of_certificate, new.cert.pem()).unwrap();
        watch.look();
        assert!(watch.look().unwrap().is_err(), "the key is the old one's");
        fs::write(&of_key, new.signing_key.serialize_pem()).unwrap();
        watch.look();
        let after = watch.look().unwrap().unwrap().listeners.remove(0);

        assert_ne!(before, after);
        assert_ne!(format!("{before:?}"), format!("{after:?}"));
    }
}
