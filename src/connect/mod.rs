//! Outbound HTTP: connections to the configured origins, and to nothing else.

pub mod origin;

use std::time::Duration;

use rustls_pki_types::CertificateDer;

pub use origin::Origin;

/// How one origin is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to.
    pub origin: Origin,
    /// Whether HTTP/2 may be spoken: offered by ALPN over TLS, assumed over clear text. Default: no, since
    /// HTTP/1.1 costs less on a short way.
    pub http2: bool,
    /// Time for name resolution, TCP and TLS together. Default 3 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default 45 s; keep it below the upstream's own limit.
    pub idle_timeout: Duration,
    /// Certificates trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}
