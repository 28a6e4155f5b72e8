//! Where it is written down who did what.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::defaults;
use crate::config::format::Written;
use crate::config::name::FilePath;
use crate::config::quantity::ByteSize;
use crate::secret::Secret;

/// The audit: a line of JSON for each request that is refused, that a dry run would refuse, or that may change something.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Audit {
    /// A secret of this deployment, of 16 bytes or more, with which callers' names and addresses, organisations and request
    /// ids are hashed: the same name has the same hash for as long as the secret is the same, and nobody reads the name from
    /// it. Take it from a file: `${file:/var/run/secrets/audit/key}`. Default: none, they are written as they are.
    #[serde(default)]
    #[schemars(with = "Written<Secret>")]
    pub(in crate::config) hash_ids: Option<Written<Secret>>,
    /// Where the lines go: `stdout`, between those of the log, or a map with a `file`. Default stdout.
    #[serde(default = "defaults::audit_target")]
    pub(in crate::config) target: AuditTarget,
}

/// A file, or standard output.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum AuditTarget {
    File(AuditFile),
    Word(Stdout),
}

/// The one target that is a word.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Stdout {
    Stdout,
}

/// A file that is made anew when it has grown.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AuditFile {
    /// The file, which lines are added to. Its folder has to be there, and the gateway must be allowed to make files in it. The
    /// file is made with mode 0600; one that is there keeps its mode, and one that somebody renames or removes is made anew.
    pub(in crate::config) file: Written<FilePath>,
    /// How many full files are kept: the latest is called `….1`, the one before `….2`, and so on. From 1 to 1000, default 10.
    #[serde(default = "defaults::audit_keep")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) keep: NonZeroUsize,
    /// The most bytes in the file; then it is renamed and another begun. From 4KiB to 100GiB, default 100MiB.
    #[serde(default = "defaults::audit_size")]
    #[schemars(extend("x-minimum" = "4KiB", "x-maximum" = "100GiB"))]
    pub(in crate::config) max_size: Written<ByteSize>,
}
