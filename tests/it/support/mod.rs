//! What the tests share.

pub(crate) mod adobe;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod documents;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod hidden;
pub(crate) mod open;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod running;
pub(crate) mod signal;
pub(crate) mod signer;
pub(crate) mod simulated;
pub(crate) mod steady;
