//! The credentials' metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Credentials;

impl Collector for Credentials {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all: Vec<_> = self.iter().map(|credential| credential.status()).collect();

        let mut family = encoder.encode_descriptor(
            "profile_gateway_token_usable_seconds",
            "How long the credential's token may still be used; 0 without one",
            None,
            MetricType::Gauge,
        )?;
        for status in &all {
            let labels = [("credential", status.name.as_str())];
            let seconds = status.usable_for.unwrap_or_default().as_secs_f64();
            ConstGauge::new(seconds).encode(family.encode_family(&labels)?)?;
        }

        let mut family = encoder.encode_descriptor(
            "profile_gateway_token_mints",
            "Tokens minted",
            None,
            MetricType::Counter,
        )?;
        for status in &all {
            let labels = [("credential", status.name.as_str())];
            ConstCounter::new(status.minted).encode(family.encode_family(&labels)?)?;
        }

        let mut family = encoder.encode_descriptor(
            "profile_gateway_token_failures",
            "Token calls that gave no token, by class",
            None,
            MetricType::Counter,
        )?;
        for status in &all {
            for (class, count) in &status.failed {
                let labels = [
                    ("credential", status.name.as_str()),
                    ("class", class.as_str()),
                ];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
