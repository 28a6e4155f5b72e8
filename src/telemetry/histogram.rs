//! A histogram of durations that many threads add to without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds in microseconds: the semantic conventions' buckets for HTTP, with finer ones below, since the
/// gateway itself takes far less than 5 ms, and coarser ones up to Adobe's time limit.
const BOUNDS_US: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 60_000_000,
];

/// A histogram of durations. Clones add to the same one.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BOUNDS_US.len()],
    longer: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Adds one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS_US.partition_point(|bound| *bound < micros);
        let bucket = self.0.buckets.get(place).unwrap_or(&self.0.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.0.sum_us.fetch_add(micros, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len() + 1);
        for (bound, bucket) in BOUNDS_US.iter().zip(&self.0.buckets) {
            let here = bucket.load(Ordering::Relaxed);
            count += here;
            buckets.push((Duration::from_micros(*bound).as_secs_f64(), here));
        }
        let longer = self.0.longer.load(Ordering::Relaxed);
        count += longer;
        buckets.push((f64::INFINITY, longer));
        let sum = Duration::from_micros(self.0.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_that_bounds_them() {
        let histogram = Histogram::default();
        let mut registry = Registry::default();
        registry.register("took", "How long it took", histogram.clone());

        for millis in [1, 2, 3, 120_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();

        for line in [
            "took_bucket{le=\"0.0005\"} 0",
            "took_bucket{le=\"0.001\"} 1",
            "took_bucket{le=\"0.0025\"} 2",
            "took_bucket{le=\"0.005\"} 3",
            "took_bucket{le=\"60.0\"} 3",
            "took_bucket{le=\"+Inf\"} 4",
            "took_count 4",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
