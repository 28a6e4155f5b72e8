//! Happy eyeballs (RFC 8305): several addresses are tried, each a moment after the one before, and the first wins.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// Returns the addresses in the order they are tried, each once: the families take turns, and the one that the resolver
/// put first begins.
pub(super) fn in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    while turns.len() < MOST_ADDRESSES {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            break;
        }
        for address in pair.into_iter().flatten() {
            if !turns.contains(&address) {
                turns.push(address);
            }
        }
    }
    turns
}

/// Attempts one address after the other, the next one 250 ms after the one before or as soon as one has failed, and
/// returns what the first success gives. What is still under way then is dropped.
///
/// # Errors
/// That of the attempt which failed last, when all have; or that there is no address.
pub(super) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            running.push(Box::pin(attempt(address)));
        } else if running.is_empty() {
            return Err(last);
        }
        let more = waiting.len() > 0;
        tokio::select! {
            biased;
            ended = first_to_end(&mut running) => match ended {
                Ok(won) => return Ok(won),
                Err(error) => last = error,
            },
            () = sleep(BETWEEN_ATTEMPTS), if more => {}
        }
    }
}

/// Waits for one of `running` to end, and takes it out.
async fn first_to_end<T, F>(running: &mut Vec<Pin<Box<F>>>) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    poll_fn(|cx| {
        for place in 0..running.len() {
            if let Some(attempt) = running.get_mut(place)
                && let Poll::Ready(ended) = attempt.as_mut().poll(cx)
            {
                drop(running.swap_remove(place));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}

/// The Connection Attempt Delay that RFC 8305 §5 recommends.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);

/// A name may have any number of addresses; trying this many takes longer than anybody waits.
const MOST_ADDRESSES: usize = 32;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const V4: [&str; 3] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"];
    const V6: [&str; 2] = ["[2001:db8::1]:1", "[2001:db8::2]:1"];

    #[test]
    fn families_take_turns_and_the_resolvers_first_begins() {
        for (given, expected) in [
            (vec![], vec![]),
            (V4.to_vec(), V4.to_vec()),
            (
                [&V6[..], &V4[..]].concat(),
                vec![V6[0], V4[0], V6[1], V4[1], V4[2]],
            ),
            (
                [&V4[..], &V6[..]].concat(),
                vec![V4[0], V6[0], V4[1], V6[1], V4[2]],
            ),
            (vec![V4[0], V6[0], V4[0], V6[0]], vec![V4[0], V6[0]]),
        ] {
            assert_eq!(in_turn(&addresses(&given)), addresses(&expected));
        }
        let many: Vec<SocketAddr> = (1..1000)
            .map(|port| ([192, 0, 2, 1], port).into())
            .collect();
        assert_eq!(in_turn(&many).len(), MOST_ADDRESSES);
    }

    /// What an address does: its answer comes after so many milliseconds.
    type Does = (u64, bool);

    /// Races addresses, of which the last number says which it is. Returns who won and when, and when each was tried.
    async fn run(does: &[Does]) -> (io::Result<u16>, u128, Vec<u128>) {
        let begun = Instant::now();
        let tried = RefCell::new(Vec::new());
        let ports = 0..u16::try_from(does.len()).unwrap();
        let all = ports.map(|port| ([192, 0, 2, 1], port).into()).collect();
        let result = race(all, |address: SocketAddr| {
            tried.borrow_mut().push(begun.elapsed().as_millis());
            let (after, succeeds) = does[usize::from(address.port())];
            async move {
                sleep(Duration::from_millis(after)).await;
                if succeeds {
                    Ok(address.port())
                } else {
                    Err(io::Error::other(address.port().to_string()))
                }
            }
        })
        .await;
        (result, begun.elapsed().as_millis(), tried.into_inner())
    }

    const NEVER: Does = (3_600_000, false);

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_everything_costs_a_quarter_of_a_second() {
        let (won, took, tried) = run(&[NEVER, NEVER, (20, true), (0, true)]).await;

        assert_eq!((won.unwrap(), took), (2, 520));
        assert_eq!(tried, [0, 250, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_next_address_is_tried_at_once() {
        let (won, took, tried) = run(&[(1, false), (2, false), (10, true)]).await;

        assert_eq!((won.unwrap(), took), (2, 13));
        assert_eq!(tried, [0, 1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_attempt_may_still_win() {
        let (won, took, tried) = run(&[(300, true), (200, true)]).await;

        assert_eq!((won.unwrap(), took), (0, 300));
        assert_eq!(tried, [0, 250]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_failed_the_last_one_says_why() {
        let (won, took, _) = run(&[(400, false), (10, false), (20, false)]).await;

        assert_eq!((won.unwrap_err().to_string().as_str(), took), ("0", 400));
        let (nobody, _, _) = run(&[]).await;
        assert_eq!(nobody.unwrap_err().to_string(), "the name has no address");
    }
}
