//! The life of tokens as callers and Adobe see it.

mod fleet;
mod refused;
mod rotation;
mod told;
