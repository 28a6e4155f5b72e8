//! Which field names are worth a closer look, told by their length and first letter.
//!
//! Every message has its names looked at, and few of them mean anything here. Comparing each with all that do costs more
//! than everything else that is done with the fields.

/// Lengths and first letters of a set of names.
pub(super) struct Notable {
    /// One bit a letter, for each length; the last is for all longer names.
    letters: [u32; LENGTHS],
}

const LENGTHS: usize = 32;

impl Notable {
    /// Prepares a set of `names` in lower case, and of all names that begin with one of `prefixes`.
    #[expect(
        clippy::indexing_slicing,
        reason = "a constant with a wrong index does not compile"
    )]
    pub(super) const fn of(names: &[&str], prefixes: &[&str]) -> Self {
        let mut letters = [0; LENGTHS];
        let mut at = 0;
        while at < names.len() {
            let name = names[at].as_bytes();
            letters[place(name.len())] |= bit(name[0]);
            at += 1;
        }
        let mut at = 0;
        while at < prefixes.len() {
            let prefix = prefixes[at].as_bytes();
            let mut length = prefix.len();
            while length < LENGTHS {
                letters[length] |= bit(prefix[0]);
                length += 1;
            }
            at += 1;
        }
        Self { letters }
    }

    /// Tells whether `name`, in lower case, may be one of the set, or spell one with `_` for `-`.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        let letters = self.letters.get(place(name.len())).copied();
        let first = name.as_bytes().first().copied().unwrap_or_default();
        letters.is_some_and(|letters| letters & bit(first) != 0)
    }
}

const fn place(length: usize) -> usize {
    if length < LENGTHS {
        length
    } else {
        LENGTHS - 1
    }
}

/// Returns the bit of a letter. Others share that of the letter 32 or 64 places away, which only costs a closer look.
const fn bit(letter: u8) -> u32 {
    1 << (letter & 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_length_and_first_letter() {
        let set = Notable::of(&["connection", "te"], &["x-forwarded"]);

        for held in [
            "connection",
            "cache-user",
            "te",
            "x-forwarded",
            "x-forwarded-for",
        ] {
            assert!(set.may_hold(held), "{held}");
        }
        assert!(set.may_hold(&format!("x-forwarded-{}", "y".repeat(100))));
        for other in ["", "t", "connections", "user-agent", "accept", "x-forward"] {
            assert!(!set.may_hold(other), "{other}");
        }
    }
}
