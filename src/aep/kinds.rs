//! A set of kinds of operations.

use std::fmt;

use super::Kind;

/// Kinds of operations, such as those that a route permits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kinds(u8);

impl Kinds {
    /// All of them.
    pub const ALL: Self = Self(0b1111);
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Those that change nothing.
    pub const READ: Self = Self(bit(Kind::Read));

    /// Tells whether `kind` is one of them.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// Returns those that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns them one by one, from what changes nothing to what does most.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        let kinds = [Kind::Read, Kind::Write, Kind::Job, Kind::Delete];
        kinds.into_iter().filter(move |kind| self.contains(*kind))
    }
}

const fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::Delete => 1,
        Kind::Job => 2,
        Kind::Read => 4,
        Kind::Write => 8,
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds
            .into_iter()
            .fold(Self::NONE, |all, kind| Self(all.0 | bit(kind)))
    }
}

/// Lists them, as in `read, write`; `nothing` when there are none.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("nothing");
        }
        for (index, kind) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{kind}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let some: Kinds = [Kind::Write, Kind::Read].into_iter().collect();

        for kind in Kind::ALL {
            assert_eq!(
                some.contains(kind),
                matches!(kind, Kind::Read | Kind::Write)
            );
            assert!(Kinds::ALL.contains(kind) && !Kinds::NONE.contains(kind));
        }
        assert_eq!(some.and(Kinds::READ), Kinds::READ);
        assert_eq!(Kind::ALL.into_iter().collect::<Kinds>(), Kinds::ALL);
        let shown = [
            some.to_string(),
            Kinds::ALL.to_string(),
            Kinds::NONE.to_string(),
        ];
        assert_eq!(
            shown,
            ["read, write", "read, write, job, delete", "nothing"]
        );
    }
}
