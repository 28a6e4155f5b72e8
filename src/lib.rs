//! An authenticating reverse proxy for the Adobe Experience Platform Real-Time Customer Profile API.
//!
//! Modules stand floor by floor, lowest first; a module imports only from floors below its own.

// Floor 0: words everyone shares; no I/O.
pub mod aep;
pub mod body;
pub mod clock;
pub mod context;
pub mod deadline;
pub mod descriptors;
pub mod error;
pub mod gate;
pub mod path_tree;
pub mod peer;
pub mod rewrite;
pub mod secret;
pub mod stage;

// Floor 1: outbound HTTP, what replicas share, logs and metrics.
pub mod connect;
pub mod shared;
pub mod telemetry;

// Floor 2: the life of tokens; who signs those of callers; a simulated Adobe.
pub mod ims;
pub mod issuers;
pub mod simulator;

// Floor 3: the stages, in the order a request meets them.
pub mod identify;
pub mod route;
pub mod authorize;
pub mod limit;
pub mod credentials;
pub mod forward;
pub mod respond;

// Floor 4: sockets and assembly.
pub mod listener;
pub mod gateway;
pub mod explain;
pub mod admin;

// Floor 5: file and environment.
pub mod config;

// Floor 6: the process.
pub mod run;
pub mod cli;
