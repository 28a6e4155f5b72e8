//! A folder that every user of the machine may reach.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Makes a folder that everybody may come to from the root, and tells whether it is one. The usual place for temporary
/// files may lie below a folder that is its user's alone, so that it is only the first that is tried. Where all others do
/// too, as where the root itself is somebody's, no file is open to everybody whatever its mode is.
pub(crate) fn folder() -> (TempDir, bool) {
    let others = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    let places = [env::temp_dir()].into_iter().chain(others);
    let mut open = places.filter(|place| is_open(place));
    let made = open.find_map(|place| TempDir::new_in(place).ok());
    let is_open = made.is_some();
    let folder = made.unwrap_or_else(|| TempDir::new().expect("files may be made somewhere"));
    mode(folder.path(), 0o755);
    (folder, is_open)
}

/// Sets the permission bits of a file or folder, whatever the umask is.
pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is our own");
}

fn is_open(place: &Path) -> bool {
    let passed = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    };
    fs::canonicalize(place).is_ok_and(|place| place.ancestors().all(passed))
}
