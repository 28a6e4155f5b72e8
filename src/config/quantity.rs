//! Durations, sizes and rates.

use std::num::NonZeroU32;
use std::time::Duration;

use super::format::Format;

impl Format for Duration {
    const NAME: &'static str = "human-duration";
    const WHAT: &'static str = "a duration such as 250ms, 30s or 24h";
    const EXAMPLE: &'static str = "30s";

    fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .ok()
            .filter(|duration| *duration <= LONGEST && !has_number_in_parts(text))
            .ok_or_else(|| format!("must be {}", Self::WHAT))
    }

    fn show(&self) -> String {
        let seconds = self.as_secs();
        match (self.subsec_nanos(), seconds) {
            (0, 0) => "0s".to_owned(),
            (0, _) if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
            (0, _) if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            (0, _) => format!("{seconds}s"),
            (nanos, _) if nanos.is_multiple_of(1_000_000) => format!("{}ms", self.as_millis()),
            _ => format!("{}ns", self.as_nanos()),
        }
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.as_nanos())
    }
}

/// Tells whether a number has blanks within it, which the library passes over: `1 0s` is more likely a slip than ten
/// seconds.
fn has_number_in_parts(text: &str) -> bool {
    let number = |part: &str, end: fn(&str) -> Option<char>| {
        end(part).is_some_and(|character| character.is_ascii_digit() || character == '.')
    };
    let parts: Vec<&str> = text.split_whitespace().collect();
    parts
        .iter()
        .zip(parts.iter().skip(1))
        .any(|(first, second)| {
            number(first, |part| part.chars().next_back())
                && number(second, |part| part.chars().next())
        })
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSize(pub(super) u64);

impl ByteSize {
    /// Returns the size as a length in memory.
    pub(super) fn length(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units with their bytes, largest first.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1024 * 1024 * 1024),
    ("MiB", 1024 * 1024),
    ("KiB", 1024),
    ("B", 1),
];

impl Format for ByteSize {
    const NAME: &'static str = "byte-size";
    const WHAT: &'static str = "a size such as 64KiB, 10MiB, or a number of bytes";
    const EXAMPLE: &'static str = "64KiB";

    fn parse(text: &str) -> Result<Self, String> {
        let (number, bytes) = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))
            .unwrap_or((text, 1));
        number_of(number.trim_end())
            .and_then(|number| number.checked_mul(bytes))
            .map(Self)
            .ok_or_else(|| format!("must be {}; units are B, KiB, MiB and GiB", Self::WHAT))
    }

    fn show(&self) -> String {
        let (unit, bytes) = UNITS
            .into_iter()
            .find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes))
            .unwrap_or(("B", 1));
        format!("{}{unit}", self.0 / bytes)
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.0.into())
    }
}

/// A number of requests in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// How many requests.
    pub(super) requests: NonZeroU32,
    /// In how much time.
    pub(super) period: Duration,
}

impl Format for Rate {
    const NAME: &'static str = "rate";
    const WHAT: &'static str = "a rate such as 50/s, 120/min or 10/6s";
    const EXAMPLE: &'static str = "120/min";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be {}", Self::WHAT);
        let (requests, period) = text.split_once('/').ok_or_else(wrong)?;
        let requests = number_of(requests).and_then(|number| u32::try_from(number).ok());
        let requests = requests.and_then(NonZeroU32::new).ok_or_else(|| {
            format!(
                "must allow a whole number of requests from 1 up: {}",
                wrong()
            )
        })?;
        let period = match period {
            "s" => SECOND,
            "min" => 60 * SECOND,
            "h" => HOUR,
            "day" => 24 * HOUR,
            other => Duration::parse(other).map_err(|_| wrong())?,
        };
        if period < Duration::from_millis(1) || period > 24 * HOUR {
            return Err("must be a rate over a time from 1ms to 24h".to_owned());
        }
        Ok(Self { requests, period })
    }

    fn show(&self) -> String {
        match self.period {
            SECOND => format!("{}/s", self.requests),
            HOUR => format!("{}/h", self.requests),
            period if period == 60 * SECOND => format!("{}/min", self.requests),
            period => format!("{}/{}", self.requests, period.show()),
        }
    }
}

/// Tells whether what `text` is read as, if anything, is shown in a way that is read as the same.
#[cfg(any(fuzzing, test))]
pub(super) fn reads_back<T: Format + PartialEq>(text: &str) -> bool {
    match T::parse(text) {
        Ok(value) => T::parse(&value.show()) == Ok(value),
        Err(_) => true,
    }
}

/// Parses digits and nothing else: no sign, no blank, no separator.
fn number_of(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Longer than anything here may take: what is longer yet could not be shown in milliseconds.
const LONGEST: Duration = Duration::from_hours(1_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let duration = |text| Duration::parse(text).ok();

        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1h 30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("1.5 h"), Some(Duration::from_mins(90)));
        for wrong in [
            "",
            "30",
            "-1s",
            "1e3s",
            "s",
            "1 0s",
            "1. 5h",
            "1 .5h",
            "03\t\t03..03.03s",
            "30303033033033030.06s",
            "1000001h",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        let size = |text| ByteSize::parse(text).map(|size| size.0).ok();

        assert_eq!(size("65536"), Some(65536));
        assert_eq!(size("1B"), Some(1));
        assert_eq!(size("64KiB"), Some(65536));
        assert_eq!(size("10 MiB"), Some(10 * 1024 * 1024));
        for wrong in [
            "",
            "B",
            "64KB",
            "64k",
            "-1",
            "1.5MiB",
            "18446744073709551615KiB",
            "1e3",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rates_name_requests_and_time() {
        let rate = |text| {
            Rate::parse(text)
                .map(|rate| (rate.requests.get(), rate.period))
                .ok()
        };

        assert_eq!(rate("120/min"), Some((120, Duration::from_mins(1))));
        assert_eq!(rate("50/s"), Some((50, Duration::from_secs(1))));
        assert_eq!(rate("10/6s"), Some((10, Duration::from_secs(6))));
        assert_eq!(rate("1000/h"), Some((1000, Duration::from_hours(1))));
        for wrong in [
            "",
            "120",
            "0/s",
            "-1/s",
            "1/",
            "1/0s",
            "1/48h",
            "4294967296/s",
            "1/fortnight",
        ] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(
            millis in 0_u64..100_000_000,
            bytes in any::<u64>(),
            requests in 1_u32..,
            period in 1_u64..86_400_000,
        ) {
            let duration = Duration::from_millis(millis);
            let rate = Rate {
                requests: NonZeroU32::new(requests).unwrap(),
                period: Duration::from_millis(period),
            };

            prop_assert_eq!(Duration::parse(&duration.show()), Ok(duration));
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).show()), Ok(ByteSize(bytes)));
            prop_assert_eq!(Rate::parse(&rate.show()), Ok(rate));
        }

        #[test]
        fn no_text_panics_or_reads_as_something_else_when_it_is_shown(
            text in prop_oneof![".*", "[0-9]{1,20}[ /]?[0-9]{0,3}(ns|us|ms|s|m|min|h|day|KiB|MiB|GiB|B)?"],
        ) {
            prop_assert!(reads_back::<Duration>(&text));
            prop_assert!(reads_back::<ByteSize>(&text));
            prop_assert!(reads_back::<Rate>(&text));
        }
    }
}
