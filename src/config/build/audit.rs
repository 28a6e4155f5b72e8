//! Where the audit goes, and what it shows.

use super::Cross;
use crate::config::file::{Audit, AuditTarget};
use crate::config::path::top;
use crate::telemetry::audit::{FileSettings, IdKey, Settings, Target};

/// Makes the settings of the audit, or `None` when something about them was reported.
pub(super) fn build(file: &Audit, cross: &mut Cross<'_>) -> Option<Settings> {
    let key = file.hash_ids.as_ref().map(|key| IdKey::new(key.0.clone()));
    let hash_ids = match key.transpose() {
        Ok(key) => key,
        Err(short) => {
            let path = top("audit").key("hash_ids");
            cross.fault(&path, &[], short.to_string(), |fault| {
                fault.help("`openssl rand -hex 32` makes a key that nobody finds by trying")
            });
            return None;
        }
    };
    let target = match &file.target {
        AuditTarget::File(file) => Target::File(FileSettings {
            path: file.file.0.0.clone(),
            max_bytes: file.max_size.0.0,
            keep: file.keep.get(),
        }),
        AuditTarget::Word(_) => Target::Stdout,
    };
    Some(Settings { target, hash_ids })
}
