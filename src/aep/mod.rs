//! Adobe's own words: the header fields it reads, the names it gives things, the operations it offers.

pub mod error_code;
pub mod fields;
pub mod kinds;
mod known;
pub mod names;
pub mod operation;
pub mod operations;
pub mod retry_after;

pub use error_code::error_code;
pub use fields::{OwnedField, OwnedFields};
pub use kinds::Kinds;
pub use names::{ClientId, OrgId, SandboxName, TechnicalAccount};
pub use operation::{Kind, Operation, Row};
pub use operations::{Operations, decoded_slashes};
pub use retry_after::{http_date, retry_after, retry_after_ms};
