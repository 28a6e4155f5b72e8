//! The name an origin is reached by: looked up for each connection, and again while connections last.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::sightings::Sightings;

/// A name that all clones of a [`super::Dialer`] look up together.
pub(super) struct Name {
    host: String,
    port: u16,
    resolve: Arc<Resolve>,
    /// Held for moments, and never during a lookup. Only who opens connections or does upkeep asks for it.
    state: Mutex<State>,
}

/// Gives the addresses of a host, and may take its time: it runs on a thread for blocking work.
pub(super) type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The addresses, or why there are none.
type Answer = Result<Arc<[SocketAddr]>, Arc<io::Error>>;

#[derive(Default)]
struct State {
    /// Lookups under way, the youngest last.
    lookups: Vec<Lookup>,
    /// When the latest lookup began.
    begun: Option<Instant>,
    sightings: Sightings,
}

struct Lookup {
    begun: Instant,
    answer: watch::Receiver<Option<Answer>>,
}

impl Name {
    /// Prepares lookups of `host` by the system's resolver.
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            resolve: Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect())),
            state: Mutex::default(),
        }
    }

    /// Puts another resolver in the place of the system's.
    #[cfg(test)]
    pub(super) fn resolved_by(&self, resolve: Arc<Resolve>) -> Self {
        let new = Self::new(&self.host, self.port);
        Self { resolve, ..new }
    }

    /// Tells whether a lookup is under way.
    #[cfg(test)]
    pub(super) fn is_looking(&self) -> bool {
        let state = self.state();
        let mut lookups = state.lookups.iter();
        lookups.any(|lookup| lookup.answer.borrow().is_none())
    }

    /// Looks the name up. Who asks while others do shares a lookup that began within the last second.
    ///
    /// # Errors
    /// The resolver's.
    ///
    /// # Cancel safety
    /// The lookup goes on for those who share it.
    pub(super) async fn resolve(self: &Arc<Self>) -> io::Result<Arc<[SocketAddr]>> {
        let mut answer = self.lookup();
        let answered = answer.wait_for(Option::is_some).await;
        match answered.as_ref().map(|answer| answer.as_ref()) {
            Ok(Some(Ok(addresses))) => Ok(Arc::clone(addresses)),
            Ok(Some(Err(error))) => Err(io::Error::new(error.kind(), Arc::clone(error))),
            Ok(None) | Err(_) => Err(io::Error::other("the lookup was given up")),
        }
    }

    /// Begins a lookup unless one began within [`LOOK_EVERY`], so that [`Self::gone`] stays true.
    pub(super) fn look(self: &Arc<Self>) {
        let now = Instant::now();
        let begun = self.state().begun;
        if begun.is_none_or(|begun| now >= begun + LOOK_EVERY) {
            drop(self.lookup());
        }
    }

    /// Returns the addresses that the name had, and has no more.
    pub(super) fn gone(&self) -> Vec<IpAddr> {
        self.state().sightings.gone()
    }

    /// Begins a lookup or joins one.
    fn lookup(self: &Arc<Self>) -> watch::Receiver<Option<Answer>> {
        let now = Instant::now();
        let mut state = self.state();
        // What has an answer is over, and so is what nobody will answer any more.
        state.lookups.retain(|lookup| {
            lookup.answer.borrow().is_none() && lookup.answer.has_changed().is_ok()
        });
        // A lookup that hangs takes a thread. It is given up on after a second, and a few of them are all there may be.
        let full = state.lookups.len() >= MOST_LOOKUPS;
        if let Some(youngest) = state.lookups.last()
            && (full || now < youngest.begun + SHARED_FOR)
        {
            return youngest.answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        state.begun = Some(now);
        state.lookups.push(Lookup {
            begun: now,
            answer: answer.clone(),
        });
        drop(state);
        let name = Arc::clone(self);
        spawn_blocking(move || {
            let answer = (name.resolve)(&name.host, name.port);
            if let Ok(addresses) = &answer {
                name.state().sightings.answered(addresses, Instant::now());
            }
            tell.send_replace(Some(answer.map(Arc::from).map_err(Arc::new)));
        });
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in it is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// How long a lookup takes further ones in. A resolver asks again only after five seconds when a packet was lost, which is
/// longer than a connect may take.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The most threads that a resolver which hangs can take.
const MOST_LOOKUPS: usize = 4;

/// Upkeep comes by every 10 s, and not to the millisecond.
const LOOK_EVERY: Duration = Duration::from_millis(9_500);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use tokio::task::JoinSet;
    use tokio::time::{advance, timeout};

    use super::*;

    /// A resolver that answers when it is told to, with the address of the number it is told.
    struct Asked {
        name: Arc<Name>,
        lookups: Arc<AtomicUsize>,
        answer: mpsc::Sender<u8>,
    }

    impl Asked {
        fn new() -> Self {
            let (answer, answers) = mpsc::channel::<u8>();
            let answers = Mutex::new(answers);
            let lookups = Arc::<AtomicUsize>::default();
            let count = Arc::clone(&lookups);
            let resolve = move |_: &str, port| {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().unwrap().recv();
                let last = answer.map_err(|_| io::Error::other("no more"))?;
                Ok(vec![([192, 0, 2, last], port).into()])
            };
            let name = Name::new("platform.example.com", 443).resolved_by(Arc::new(resolve));
            Self {
                name: Arc::new(name),
                lookups,
                answer,
            }
        }

        /// Waits until so many lookups have begun.
        async fn wait_for(&self, lookups: usize) {
            while self.lookups.load(Ordering::SeqCst) < lookups {
                tokio::task::yield_now().await;
            }
        }
    }

    fn gives(last: u8) -> Vec<SocketAddr> {
        vec![([192, 0, 2, last], 443).into()]
    }

    #[tokio::test(start_paused = true)]
    async fn each_asks_anew_and_those_who_ask_together_share_the_answer() {
        let asked = Asked::new();
        for last in 1..4 {
            let answer = async {
                asked.wait_for(last.into()).await;
                asked.answer.send(last).unwrap();
            };
            let (one, other, ()) = tokio::join!(asked.name.resolve(), asked.name.resolve(), answer);

            assert_eq!(one.unwrap().to_vec(), gives(last));
            assert_eq!(other.unwrap().to_vec(), gives(last));
            assert_eq!(asked.lookups.load(Ordering::SeqCst), usize::from(last));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_takes_a_few_threads_and_no_more() {
        let asked = Asked::new();
        let mut waiting = JoinSet::new();
        for round in 1..20 {
            let name = Arc::clone(&asked.name);
            waiting.spawn(async move { name.resolve().await });
            // Work on a blocking thread keeps the paused clock from moving by itself.
            asked.wait_for(round.min(MOST_LOOKUPS)).await;
            advance(SHARED_FOR).await;
        }

        assert_eq!(asked.name.state().lookups.len(), MOST_LOOKUPS);
        // They end one after the other; each gives its own answer to those who share it.
        for last in 1..5 {
            asked.answer.send(last).unwrap();
        }
        while let Some(waited) = waiting.join_next().await {
            assert!(waited.unwrap().is_ok());
        }
        assert_eq!(asked.lookups.load(Ordering::SeqCst), MOST_LOOKUPS);
        asked.answer.send(9).unwrap();
        assert_eq!(asked.name.resolve().await.unwrap().to_vec(), gives(9));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_ends_nothing_for_others() {
        let asked = Asked::new();
        let limit = Duration::from_millis(10);
        let name = Arc::clone(&asked.name);
        let mut leaver = JoinSet::new();
        leaver.spawn(async move { timeout(limit, name.resolve()).await });
        asked.wait_for(1).await;
        let mut stays = asked.name.lookup();
        advance(limit).await;
        assert!(leaver.join_next().await.unwrap().unwrap().is_err());

        asked.answer.send(7).unwrap();
        let answered = stays.wait_for(Option::is_some).await.unwrap();

        assert!(matches!(answered.as_ref(), Some(Ok(it)) if it.to_vec() == gives(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn upkeep_looks_the_name_up_in_intervals_and_sees_what_has_gone() {
        let asked = Asked::new();
        let mut looked = 0;
        for (round, last) in [1, 2, 2, 2].into_iter().enumerate() {
            asked.answer.send(last).unwrap();
            // Several workers come by, and one of them looks.
            asked.name.look();
            asked.name.look();
            asked.wait_for(round + 1).await;
            while asked.name.is_looking() {
                tokio::task::yield_now().await;
            }
            looked += 1;
            assert_eq!(asked.lookups.load(Ordering::SeqCst), looked);
            let gone = asked.name.gone();
            assert_eq!(gone.len(), usize::from(round == 3), "{gone:?}");
            advance(Duration::from_secs(10)).await;
        }
        assert_eq!(asked.name.gone(), [gives(1)[0].ip()]);
    }
}
