//! The life of tokens as callers and Adobe see it.

mod refused;
mod rotation;
