//! Writes JSON objects whose members are known when this is compiled.
//!
//! A line a request is written on the data path, so what can be laid down as it stands is: names, punctuation and
//! words that need no escaping.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

/// Spells what stands before a member's value, with a comma in front.
macro_rules! member {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use member;

/// Adds a word that needs no escaping, in quotes.
pub(super) fn word(buffer: &mut Vec<u8>, member: &'static str, word: &str) {
    buffer.extend_from_slice(member.as_bytes());
    buffer.push(b'"');
    buffer.extend_from_slice(word.as_bytes());
    buffer.push(b'"');
}

/// Adds any text, in quotes and escaped.
pub(super) fn text(buffer: &mut Vec<u8>, member: &'static str, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    // Every byte is looked at whatever the ones before were, so that many are compared at once.
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        word(buffer, member, text);
    } else {
        buffer.extend_from_slice(member.as_bytes());
        // Writing to memory cannot fail, and every text has a form in JSON.
        let _ = serde_json::to_writer(buffer, text);
    }
}

/// Adds a whole number.
pub(super) fn number(buffer: &mut Vec<u8>, member: &'static str, number: u64) {
    buffer.extend_from_slice(member.as_bytes());
    digits(buffer, number);
}

/// Adds a duration in milliseconds, to the microsecond.
pub(super) fn millis(buffer: &mut Vec<u8>, member: &'static str, duration: Duration) {
    buffer.extend_from_slice(member.as_bytes());
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    digits(buffer, micros / 1000);
    buffer.push(b'.');
    three_digits(buffer, micros % 1000);
}

/// Adds an address, in quotes.
pub(super) fn address(buffer: &mut Vec<u8>, member: &'static str, address: IpAddr) {
    buffer.extend_from_slice(member.as_bytes());
    buffer.push(b'"');
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            digits(buffer, first.into());
            for octet in rest {
                buffer.push(b'.');
                digits(buffer, octet.into());
            }
        }
        IpAddr::V6(address) => {
            // Writing to memory cannot fail.
            let _ = write!(buffer, "{address}");
        }
    }
    buffer.push(b'"');
}

fn digits(buffer: &mut Vec<u8>, number: u64) {
    buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Adds a number below 1000 with its leading zeros.
pub(super) fn three_digits(buffer: &mut Vec<u8>, number: u64) {
    let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or_default();
    buffer.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(any in ".{0,40}", count: u64, micros in 0_u64..1 << 53, v4: [u8; 4], v6: [u16; 8]) {
            let mut buffer = b"{\"first\":0".to_vec();
            let (v4, v6) = (IpAddr::from(v4), IpAddr::from(v6));

            text(&mut buffer, member!("text"), &any);
            word(&mut buffer, member!("word"), "plain");
            number(&mut buffer, member!("number"), count);
            millis(&mut buffer, member!("millis"), Duration::from_micros(micros));
            address(&mut buffer, member!("v4"), v4);
            address(&mut buffer, member!("v6"), v6);
            buffer.push(b'}');

            let read: Value = serde_json::from_slice(&buffer).unwrap();
            prop_assert_eq!(&read["text"], &json!(any));
            prop_assert_eq!(&read["word"], "plain");
            prop_assert_eq!(&read["number"], &json!(count));
            let wrong_by = read["millis"].as_f64().unwrap() * 1000.0 - Duration::from_micros(micros).as_secs_f64() * 1e6;
            prop_assert!(wrong_by.abs() <= 1.0 + Duration::from_micros(micros).as_secs_f64() * 1e-9);
            prop_assert_eq!(&read["v4"], &json!(v4.to_string()));
            prop_assert_eq!(&read["v6"], &json!(v6.to_string()));
        }
    }
}
