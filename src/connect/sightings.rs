//! Which addresses a name has, and which it has no more.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

/// What the answers to lookups of one name have said.
///
/// Many names are answered with a few of their addresses at a time, so that one answer without an address proves
/// nothing: it has gone when answers have come without it for [`GONE_AFTER`]. No answer at all says nothing.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    known: Vec<Known>,
    latest: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    address: IpAddr,
    /// When the first answer without it came after the last one with it.
    missed_since: Option<Instant>,
}

impl Sightings {
    /// Takes in an answer.
    pub(super) fn answered(&mut self, addresses: &[SocketAddr], now: Instant) {
        if addresses.is_empty() {
            return;
        }
        self.latest = Some(now);
        for known in &mut self.known {
            if addresses.iter().any(|it| it.ip() == known.address) {
                known.missed_since = None;
            } else {
                known.missed_since.get_or_insert(now);
            }
        }
        for address in addresses.iter().map(SocketAddr::ip) {
            if !self.known.iter().any(|known| known.address == address) {
                self.known.push(Known {
                    address,
                    missed_since: None,
                });
            }
        }
        // The one missed longest is the least likely to be connected to still.
        while self.known.len() > MOST_KNOWN {
            let missed = |known: &Known| known.missed_since.unwrap_or(now);
            let oldest = (0..self.known.len()).min_by_key(|at| self.known.get(*at).map(missed));
            self.known.remove(oldest.unwrap_or_default());
        }
    }

    /// Returns the addresses that the name had, and has no more.
    pub(super) fn gone(&self) -> Vec<IpAddr> {
        let gone = |known: &&Known| match (known.missed_since, self.latest) {
            (Some(since), Some(latest)) => latest.duration_since(since) >= GONE_AFTER,
            (None, _) | (_, None) => false,
        };
        let gone = self.known.iter().filter(gone);
        gone.map(|known| known.address).collect()
    }
}

/// With a lookup every 10 s these are three answers, and an address that was taken away has gone after half a minute.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(20);

/// More addresses than a name has at a time. What is forgotten is left to the lifetime of its connections.
const MOST_KNOWN: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 443).into()
    }

    /// Answers of one second after the other, each with these addresses; returns what has gone after each.
    fn after(answers: &[(u64, &[u8])]) -> Vec<Vec<u8>> {
        let begun = Instant::now();
        let mut sightings = Sightings::default();
        let answers = answers.iter().map(|(second, given)| {
            let given: Vec<_> = given.iter().copied().map(address).collect();
            sightings.answered(&given, begun + Duration::from_secs(*second));
            let gone = sightings.gone().into_iter().map(|gone| match gone {
                IpAddr::V4(gone) => gone.octets()[3],
                IpAddr::V6(_) => panic!("there is none"),
            });
            gone.collect()
        });
        answers.collect()
    }

    #[test]
    fn an_address_has_gone_when_answers_come_without_it_for_a_while() {
        let gone = after(&[
            (0, &[1, 2]),
            (10, &[2]),
            (20, &[2]),
            (30, &[2, 3]),
            (40, &[1, 2]),
        ]);

        assert_eq!(gone, [vec![], vec![], vec![], vec![1], vec![]]);
    }

    #[test]
    fn a_name_that_gives_a_few_of_its_addresses_at_a_time_keeps_them_all() {
        let gone = after(&[
            (0, &[1, 2]),
            (10, &[3, 4]),
            (20, &[5, 1]),
            (30, &[2, 3]),
            (40, &[4, 5]),
            (50, &[1, 2]),
        ]);

        assert!(gone.iter().all(Vec::is_empty), "{gone:?}");
    }

    #[test]
    fn without_answers_nothing_goes() {
        let gone = after(&[(0, &[1]), (10, &[]), (1000, &[]), (2000, &[2])]);

        assert!(gone.iter().all(Vec::is_empty), "{gone:?}");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut sightings = Sightings::default();
        let now = Instant::now();
        for second in 0..1000_u16 {
            let [high, low] = second.to_be_bytes();
            let now = now + Duration::from_secs(second.into());
            sightings.answered(&[([192, 0, high, low], 1).into()], now);
        }

        assert_eq!(sightings.known.len(), MOST_KNOWN);
        assert!(sightings.gone().len() > MOST_KNOWN - 30);
    }
}
