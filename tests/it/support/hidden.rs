//! Texts that must not come out, in any spelling that whoever reads a log can undo.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use profile_gateway::secret::UNRESERVED;

/// Secrets, tokens, assertions and keys.
#[derive(Default)]
pub(crate) struct Hidden(Vec<(String, Vec<String>)>);

impl Hidden {
    /// Adds a text. One that is short would be found where it is not meant.
    pub(crate) fn add(&mut self, text: &str) {
        assert!(text.len() >= 12, "{text}");
        if !self.0.iter().any(|(known, _)| known == text) {
            self.0.push((text.to_owned(), spellings(text)));
        }
    }

    /// Adds the lines of a private key.
    pub(crate) fn add_key(&mut self, pem: &str) {
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        for line in lines.filter(|line| line.len() >= 12) {
            self.add(line);
        }
    }

    /// Checks that none of them stands in `text`.
    pub(crate) fn assert_absent(&self, place: &str, text: &str) {
        for (hidden, spellings) in &self.0 {
            for spelling in spellings {
                if let Some(at) = text.find(spelling) {
                    let around: String = text.get(..at).unwrap().chars().rev().take(300).collect();
                    let before: String = around.chars().rev().collect();
                    panic!("{hidden:?} stands in {place} as {spelling:?} after …{before}");
                }
            }
        }
    }
}

fn spellings(text: &str) -> Vec<String> {
    let percent = utf8_percent_encode(text, UNRESERVED).to_string();
    let hex = |upper: bool, separator: &str| {
        text.bytes().fold(String::new(), |mut all, byte| {
            let written = if upper {
                write!(all, "{separator}{byte:02X}")
            } else {
                write!(all, "{separator}{byte:02x}")
            };
            written.unwrap();
            all
        })
    };
    let mut spellings = vec![
        text.to_owned(),
        percent.to_lowercase(),
        percent,
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        text.replace('/', "\\/"),
        hex(false, ""),
        hex(true, ""),
        hex(true, "%"),
        hex(false, "\\u00"),
    ];
    for before in 0..3 {
        let bytes = [vec![0; before], text.as_bytes().to_vec()].concat();
        // Without the characters that share bits with what stands beside it.
        let (begun, ended) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            let encoded = engine.encode(&bytes);
            spellings.push(encoded.get(begun..ended).unwrap().to_owned());
        }
    }
    spellings
}

#[test]
fn what_is_hidden_is_found_in_every_spelling() {
    let mut hidden = Hidden::default();
    hidden.add("p8e/never+seen=");
    for spelled in [
        "p8e/never+seen=".to_owned(),
        "p8e%2Fnever%2Bseen%3D".to_owned(),
        "p8e%2fnever%2bseen%3d".to_owned(),
        r"p8e\/never+seen=".to_owned(),
        STANDARD.encode("id:p8e/never+seen=:x"),
        URL_SAFE.encode("i:p8e/never+seen="),
        "7038652f6e657665722b7365656e3d".to_owned(),
    ] {
        let text = format!("something {spelled} else");
        let found = std::panic::catch_unwind(|| hidden.assert_absent("a text", &text));
        assert!(found.is_err(), "{spelled}");
    }
    hidden.assert_absent("a text", "p8e/never and seen=");
}
