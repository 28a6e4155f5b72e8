//! What listeners count.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::{Address, Bound, Handle};

/// The metrics of listeners.
#[derive(Debug)]
pub struct Metrics(Vec<(Address, Handle)>);

impl Metrics {
    /// Makes the metrics of these.
    pub fn of(listeners: &[Bound]) -> Self {
        let both = |bound: &Bound| (bound.address().clone(), bound.handle());
        Self(listeners.iter().map(both).collect())
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "profile_gateway_tls_handshakes_failed",
            "TLS handshakes with callers that failed or took too long",
            None,
            MetricType::Counter,
        )?;
        for (address, handle) in self.0.iter().filter(|(_, handle)| handle.speaks_tls()) {
            let count = ConstCounter::new(handle.failed_handshakes().get());
            count.encode(family.encode_family(&[("listener", address.to_string())])?)?;
        }
        Ok(())
    }
}
