//! The issuers' metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Current, Issuer, Status};

/// Series of an issuer that has left the configuration end.
impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let issuers = self.get();
        // Most gateways have none, and then there is nothing to say.
        if issuers.is_empty() {
            return Ok(());
        }
        let all: Vec<Status> = issuers.iter().map(Issuer::status).collect();

        let name = "profile_gateway_issuer_keys";
        let help =
            "Keys of the issuer that tokens may be signed with; 0 also when they are too old";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for status in &all {
            let labels = [("issuer", status.name.as_str())];
            let keys = i64::try_from(status.keys).unwrap_or(i64::MAX);
            ConstGauge::new(keys).encode(family.encode_family(&labels)?)?;
        }

        let name = "profile_gateway_issuer_keys_age_seconds";
        let help =
            "How long ago the issuer's keys were fetched; none without any, or for those of a file";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for status in &all {
            let labels = [("issuer", status.name.as_str())];
            if let Some(age) = status.age {
                ConstGauge::new(age.as_secs_f64()).encode(family.encode_family(&labels)?)?;
            }
        }

        let name = "profile_gateway_issuer_fetches";
        let help = "Fetches of the issuer's keys, by what came of them";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for status in &all {
            let failed = status.failed.iter();
            let failed = failed.map(|(class, count)| (class.as_str(), *count));
            for (outcome, count) in [("fetched", status.fetched)].into_iter().chain(failed) {
                let labels = [("issuer", status.name.as_str()), ("outcome", outcome)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
