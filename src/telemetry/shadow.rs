//! How a request was decided by the rules that count, and how by a shadow's.

use std::borrow::Cow;

use prometheus_client::encoding::EncodeLabelSet;

use crate::context::{Exchange, PerPlace, PlaceId, Shadowed};
use crate::error::Reason;

/// A place of a shadow's rules, and what it is to the rules that count.
#[derive(Clone, Debug)]
pub struct Counterpart {
    /// Those of their places that are the same sandbox of the same organisation.
    same: Vec<PlaceId>,
    /// What the log says of a request that would work there.
    said: String,
}

impl Counterpart {
    /// Prepares what is said of a place called `name`.
    pub fn new(name: &str, same: Vec<PlaceId>) -> Self {
        Self {
            same,
            said: format!("allowed:{name}"),
        }
    }
}

/// What two sets of rules decided, in the words of the metrics.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Pair {
    live: &'static str,
    shadow: &'static str,
}

const ALLOWED: &str = "allowed";
const ELSEWHERE: &str = "elsewhere";
const ERROR: &str = "error";
const REFUSED: &str = "refused";

impl Pair {
    /// All that there can be: what is refused has no other place to be allowed in.
    pub(super) const ALL: [Self; 7] = [
        Self::new(ALLOWED, ALLOWED),
        Self::new(ALLOWED, ELSEWHERE),
        Self::new(ALLOWED, ERROR),
        Self::new(ALLOWED, REFUSED),
        Self::new(REFUSED, ALLOWED),
        Self::new(REFUSED, ERROR),
        Self::new(REFUSED, REFUSED),
    ];

    const fn new(live: &'static str, shadow: &'static str) -> Self {
        Self { live, shadow }
    }
}

/// A request that both have decided.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    /// Where it works, or why it was refused.
    live: Result<Option<PlaceId>, Option<Reason>>,
    shadow: Shadowed,
    /// The place where it would work.
    there: Option<&'a Counterpart>,
}

impl<'a> Compared<'a> {
    /// Compares what was decided of a request that has ended. `None`: no shadow has decided, or nobody was known whom to
    /// decide for.
    pub(super) fn of(exchange: &Exchange, places: &'a PerPlace<Counterpart>) -> Option<Self> {
        let shadow = exchange.shadow.get()?;
        Some(Self {
            // What became of it after the rules had let it through is not theirs.
            live: if exchange.permitted.get() {
                Ok(exchange.place.get())
            } else {
                Err(exchange.reason.get())
            },
            shadow,
            there: match shadow {
                Shadowed::Allowed(place) => places.get(place).ok(),
                Shadowed::Failed | Shadowed::Refused(_) => None,
            },
        })
    }

    /// Returns what is counted.
    pub(super) fn pair(&self) -> Pair {
        let live = if self.live.is_ok() { ALLOWED } else { REFUSED };
        let shadow = match self.shadow {
            Shadowed::Allowed(_) if self.live.is_ok() && !self.is_same_place() => ELSEWHERE,
            Shadowed::Allowed(_) => ALLOWED,
            Shadowed::Failed => ERROR,
            Shadowed::Refused(_) => REFUSED,
        };
        Pair { live, shadow }
    }

    /// Returns what the shadow decided, if it is another thing.
    pub(super) fn difference(&self) -> Option<Cow<'a, str>> {
        match self.shadow {
            Shadowed::Allowed(_) if self.is_same_place() => None,
            Shadowed::Allowed(_) => self.there.map(|there| Cow::Borrowed(&*there.said)),
            Shadowed::Failed => Some(Cow::Borrowed(ERROR)),
            Shadowed::Refused(reason) if self.live == Err(Some(reason)) => None,
            Shadowed::Refused(reason) => {
                Some(Cow::Owned(format!("{REFUSED}:{}", reason.meaning().code)))
            }
        }
    }

    fn is_same_place(&self) -> bool {
        match (self.live, self.there) {
            (Ok(Some(place)), Some(there)) => there.same.contains(&place),
            (Ok(_) | Err(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: PlaceId = PlaceId(3);

    fn compared(
        live: Result<PlaceId, Reason>,
        shadow: Shadowed,
    ) -> (&'static str, &'static str, Option<String>) {
        let places: PerPlace<_> = [
            Counterpart::new("dev", vec![PlaceId(1), HERE]),
            Counterpart::new("prod", Vec::new()),
        ]
        .into_iter()
        .collect();
        let there = match shadow {
            Shadowed::Allowed(place) => places.get(place).ok(),
            Shadowed::Failed | Shadowed::Refused(_) => None,
        };
        let compared = Compared {
            live: live.map(Some).map_err(Some),
            shadow,
            there,
        };
        let pair = compared.pair();
        assert!(Pair::ALL.contains(&pair), "{pair:?}");
        let said = compared.difference().map(Cow::into_owned);
        (pair.live, pair.shadow, said)
    }

    #[test]
    fn what_differs_is_said_and_everything_is_one_of_the_pairs() {
        let refused = Shadowed::Refused(Reason::NotGranted);
        let (dev, prod) = (Shadowed::Allowed(PlaceId(0)), Shadowed::Allowed(PlaceId(1)));
        for (live, shadow, expected) in [
            (Ok(HERE), dev, ("allowed", "allowed", None)),
            (
                Ok(HERE),
                prod,
                ("allowed", "elsewhere", Some("allowed:prod")),
            ),
            (
                Ok(HERE),
                refused,
                ("allowed", "refused", Some("refused:not_granted")),
            ),
            (
                Ok(HERE),
                Shadowed::Failed,
                ("allowed", "error", Some("error")),
            ),
            (
                Err(Reason::NotGranted),
                dev,
                ("refused", "allowed", Some("allowed:dev")),
            ),
            (
                Err(Reason::NotGranted),
                refused,
                ("refused", "refused", None),
            ),
            (
                Err(Reason::NoRoute),
                refused,
                ("refused", "refused", Some("refused:not_granted")),
            ),
            (
                Err(Reason::NoRoute),
                Shadowed::Failed,
                ("refused", "error", Some("error")),
            ),
        ] {
            let (of_live, of_shadow, said) = expected;
            assert_eq!(
                compared(live, shadow),
                (of_live, of_shadow, said.map(str::to_owned)),
                "{live:?} {shadow:?}"
            );
        }
    }
}
