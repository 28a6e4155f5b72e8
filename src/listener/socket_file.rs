//! The file of a Unix socket: who may use it, and whose it is.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::BindError;

/// Who may connect through the file of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The permission bits; to connect takes the right to write. Default 0660.
    pub mode: u32,
    /// The user id of the owner. Default: that of the process.
    pub owner: Option<u32>,
    /// The group id. Default: that of the process, or the folder's where that is passed on.
    pub group: Option<u32>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            mode: 0o660,
            owner: None,
            group: None,
        }
    }
}

/// The file of a socket that this process has bound.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Binds `socket` to `path` and lets those connect whom `access` says, before anybody can.
    ///
    /// What a dead process has left is replaced. One process at a time does so in a folder, see [`Turn`].
    ///
    /// # Errors
    /// When somebody listens there, or something else is there, or the system refuses.
    pub(super) fn bind(socket: &Socket, path: &Path, access: Access) -> Result<Self, BindError> {
        remove_stale(path)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let made = fs::symlink_metadata(path)?;
        let file = Self {
            path: path.to_owned(),
            device: made.dev(),
            inode: made.ino(),
        };
        // Until the socket listens, whoever connects is refused.
        file.set_access(access)
            .inspect_err(|_| file.remove_if_ours())?;
        Ok(file)
    }

    /// Changes who may connect.
    ///
    /// # Errors
    /// When the system refuses, or the file is not ours any more.
    pub(super) fn set_access(&self, access: Access) -> Result<(), BindError> {
        if !self.is_ours() {
            return Err(BindError::Replaced);
        }
        // The owner first, so that nobody gets by the new mode what the new owner alone should have.
        if access.owner.is_some() || access.group.is_some() {
            lchown(&self.path, access.owner, access.group).map_err(BindError::Owner)?;
        }
        fs::set_permissions(&self.path, Permissions::from_mode(access.mode))
            .map_err(BindError::Mode)
    }

    /// Tells whether what is at the path is what was put there. The number of a file is given to no other one as long
    /// as the socket is open.
    pub(super) fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (self.device, self.inode))
    }

    /// Removes the file unless another one has taken its place.
    pub(super) fn remove_if_ours(&self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a socket's file could not be removed");
        }
    }
}

/// The turn to make sockets in a folder: from looking who listens there until somebody does. A second process that starts
/// at the same time would find a file that nobody listens at yet, and take it for one that was left behind.
///
/// It is a lock on the folder (flock(2)), so that no file stays behind. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub(super) struct Turn {
    _folder: Option<File>,
}

impl Turn {
    /// Waits for the turn in the folder of `path`, for some seconds, since whoever may read the folder can lock it. Without a
    /// turn, two processes that start at the same moment may both believe that the path is theirs, and one of them will find
    /// out later.
    #[expect(
        clippy::disallowed_methods,
        reason = "at the start, or on a thread for blocking work"
    )]
    pub(super) fn take(path: &Path) -> Self {
        let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) else {
            return Self { _folder: None };
        };
        let path = path.display();
        for look in 0..LOOKS {
            match folder.try_lock() {
                Ok(()) => {
                    return Self {
                        _folder: Some(folder),
                    };
                }
                Err(TryLockError::WouldBlock) => {
                    if look == 0 {
                        tracing::info!(%path, "another process is making a socket in the same folder; it is waited for");
                    }
                    thread::sleep(BETWEEN_LOOKS);
                }
                Err(TryLockError::Error(error)) => {
                    tracing::debug!(%error, %path, "the folder of a socket cannot be locked");
                    return Self { _folder: None };
                }
            }
        }
        tracing::warn!(%path, "another process keeps the folder of a socket locked; it is waited for no longer");
        Self { _folder: None }
    }
}

/// Three seconds in all: making a socket takes milliseconds.
const LOOKS: u32 = 150;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Removes the socket of a process that is gone.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !there.file_type().is_socket() {
        return Err(BindError::NotASocket);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full would be waited for.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(fs::remove_file(path)?)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error.into()),
        Ok(()) | Err(_) => Err(BindError::Live),
    }
}
