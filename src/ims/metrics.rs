//! The credentials' metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Credentials, Current, Status};

impl Collector for Credentials {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all: Vec<_> = self.iter().map(|credential| credential.status()).collect();
        gauge(
            &mut encoder,
            "profile_gateway_token_usable_seconds",
            "How long the credential's token may still be used; 0 without one",
            &all,
            |status| status.usable_for.unwrap_or_default().as_secs_f64(),
        )?;
        gauge(
            &mut encoder,
            "profile_gateway_token_age_seconds",
            "How old the credential's token is; 0 without one",
            &all,
            |status| status.age.unwrap_or_default().as_secs_f64(),
        )?;
        counter(
            &mut encoder,
            "profile_gateway_token_taken",
            "Tokens taken that other replicas have minted",
            &all,
            |status| status.taken,
        )?;
        counter(
            &mut encoder,
            "profile_gateway_token_refusals",
            "Answers by which the upstream refused a token",
            &all,
            |status| status.refusals,
        )?;
        counter(
            &mut encoder,
            "profile_gateway_token_replacements",
            "Times that a token was replaced since the upstream refused it",
            &all,
            |status| status.replacements,
        )?;

        let name = "profile_gateway_credential_paused";
        let help =
            "1 while requests with the credential's API key wait since the upstream asked for it";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for credential in self.iter() {
            let labels = [("credential", credential.name())];
            let paused = i64::from(credential.pauses().is_shut());
            ConstGauge::new(paused).encode(family.encode_family(&labels)?)?;
        }

        let help = "Token calls, by what came of them";
        let name = "profile_gateway_token_calls";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for status in &all {
            let failed = status.failed.iter();
            let failed = failed.map(|(class, count)| (class.as_str(), *count));
            for (outcome, count) in [("minted", status.minted)].into_iter().chain(failed) {
                let labels = [("credential", status.name.as_str()), ("outcome", outcome)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Series of a credential that has left the configuration end; one of another client begins anew.
impl Collector for Current {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.get().encode(encoder)
    }
}

/// Writes one value a credential.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: &[Status],
    value: fn(&Status) -> f64,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for status in all {
        let labels = [("credential", status.name.as_str())];
        ConstGauge::new(value(status)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Writes one count a credential.
fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: &[Status],
    value: fn(&Status) -> u64,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for status in all {
        let labels = [("credential", status.name.as_str())];
        ConstCounter::new(value(status)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
