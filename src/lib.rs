//! An authenticating reverse proxy for the Adobe Experience Platform Real-Time Customer Profile API.
//!
//! Modules stand in the order of the floors, lowest first; a module imports only from floors below its own.

// Floor 0: words everyone shares; no I/O.
pub mod aep;
pub mod body;
pub mod clock;
pub mod context;
pub mod error;
pub mod secret;
pub mod stage;
