//! The life of tokens as callers and Adobe see it.

mod clocks;
mod debug;
mod faults;
mod fleet;
mod impostors;
mod isolation;
mod key_files;
mod lifetimes;
mod many;
mod outages;
mod refused;
mod renewal;
mod rotation;
mod secrecy;
mod sharing;
mod short_lived;
mod token_service;
mod told;
mod two_secrets;
