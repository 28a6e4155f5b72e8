//! Drives the book with arbitrary sequences of events, beside a plain account of what must be so.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::book::{Book, Given, Id, Limits, Step, Term, Whole};
use super::counts::{Cause, Count, Counts};
use super::line::{Attempt, Ticket};

/// What happens next. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Event {
    Request,
    ConnectDone {
        which: usize,
        shared: bool,
        to: u8,
    },
    ConnectFailed(usize),
    GiveBack(usize),
    Abandon(usize),
    Die(usize),
    Cancel(usize),
    Allow {
        which: usize,
        streams: usize,
    },
    Tick(u64),
    Sweep,
    /// The name has these addresses no more.
    Retire(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let which = 0..64_usize;
    prop_oneof![
        6 => Just(Event::Request),
        4 => (which.clone(), prop::bool::weighted(0.3), 0..3_u8)
            .prop_map(|(which, shared, to)| Event::ConnectDone { which, shared, to }),
        1 => which.clone().prop_map(Event::ConnectFailed),
        4 => which.clone().prop_map(Event::GiveBack),
        1 => which.clone().prop_map(Event::Abandon),
        1 => which.clone().prop_map(Event::Die),
        1 => which.clone().prop_map(Event::Cancel),
        1 => (which, 0..5_usize).prop_map(|(which, streams)| Event::Allow { which, streams }),
        1 => (0..30_u64).prop_map(Event::Tick),
        1 => Just(Event::Sweep),
        1 => prop::collection::vec(0..3_u8, 0..3).prop_map(Event::Retire),
    ]
}

/// Requests by number: the later the greater.
type Who = u32;

/// A connection as the account sees it.
#[derive(Debug)]
struct Known {
    shared: bool,
    to: u8,
    expires: Instant,
    /// Since when nobody uses it.
    unused: Instant,
    users: usize,
    limit: usize,
}

struct World {
    limits: Limits,
    book: Book<(), (), Who>,
    counts: Arc<Counts>,
    now: Instant,
    next: Who,
    /// How many streams a peer took last.
    streams: usize,
    attempts: Vec<Attempt>,
    /// How many attempts were begun, and how many requests have stood in line.
    begun: usize,
    joined: usize,
    waiting: BTreeMap<Who, Ticket>,
    lent: Vec<Given<(), ()>>,
    open: Vec<(Id, Known)>,
    gone: Vec<u8>,
}

impl World {
    fn new(limits: Limits, shared: bool) -> Self {
        let counts = Arc::<Counts>::default();
        Self {
            limits,
            book: Book::new(limits, shared, Arc::clone(&counts)),
            counts,
            now: Instant::now(),
            next: 0,
            streams: limits.streams,
            attempts: Vec::new(),
            begun: 0,
            joined: 0,
            waiting: BTreeMap::new(),
            lent: Vec::new(),
            open: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Request => self.request(),
            Event::ConnectDone { which, shared, to } => self.connected(which, shared, to),
            Event::ConnectFailed(which) => {
                if let Some(attempt) = pick(&mut self.attempts, which) {
                    let before = self.waiting.len();
                    let failed = self.book.failed(attempt);
                    for who in &failed {
                        assert!(self.waiting.remove(who).is_some(), "{who} was not waiting");
                    }
                    assert_eq!(self.waiting.len() + failed.len(), before);
                }
            }
            Event::GiveBack(which) => {
                if let Some(given) = pick(&mut self.lent, which) {
                    self.give_back(given);
                }
            }
            Event::Abandon(which) => {
                if let Some(given) = pick(&mut self.lent, which) {
                    match given {
                        Given::Whole(whole) => {
                            self.open.retain(|(id, _)| *id != whole.id);
                            self.book.lost(Cause::Abandoned);
                        }
                        stream @ Given::Stream(..) => self.give_back(stream),
                    }
                }
            }
            Event::Die(which) => self.die(which),
            Event::Cancel(which) => {
                let nth = self.waiting.keys().nth(which % self.waiting.len().max(1));
                if let Some(who) = nth.copied() {
                    let ticket = self.waiting.remove(&who).unwrap();
                    assert_eq!(self.book.leave(ticket), Some(who));
                }
            }
            Event::Allow { which, streams } => {
                let streams = streams.clamp(1, self.limits.streams);
                let shared = self.open.iter_mut().filter(|(_, known)| known.shared);
                let shared: Vec<_> = shared.collect();
                if !shared.is_empty() {
                    let place = which % shared.len();
                    let (id, known) = shared.into_iter().nth(place).unwrap();
                    known.limit = streams;
                    self.streams = streams;
                    self.book.allow_streams(*id, streams);
                }
            }
            Event::Tick(seconds) => self.now += Duration::from_secs(seconds),
            Event::Sweep => self.book.sweep(self.now, |()| true),
            Event::Retire(ref gone) => self.retire(gone),
        }
        self.proceed();
        self.check();
    }

    fn request(&mut self) {
        self.next += 1;
        let who = self.next;
        if let Some(given) = self.book.take(self.now) {
            assert!(
                self.waiting.is_empty(),
                "a newcomer overtook those who wait"
            );
            return self.lend(given);
        }
        let no_room = self.room() == 0;
        let unpromised = self.unpromised();
        match self.book.join(who) {
            Ok(ticket) => {
                self.joined += 1;
                self.waiting.insert(who, ticket);
            }
            Err(back) => {
                assert_eq!(back, who);
                assert!(no_room, "refused although there was room");
                assert!(unpromised >= self.limits.waiting, "the line was not full");
            }
        }
    }

    fn retire(&mut self, gone: &[u8]) {
        let now = self.now;
        self.gone = gone.to_vec();
        for (_, known) in &mut self.open {
            // One that is lent ends when it comes back, if its address has not come back before.
            if gone.contains(&known.to) && (known.shared || known.users == 0) {
                known.expires = known.expires.min(now);
            }
        }
        let gone = gone.iter().map(|to| address(*to)).collect();
        self.book.retire_addresses(gone, now);
    }

    fn connected(&mut self, which: usize, shared: bool, to: u8) {
        let Some(attempt) = pick(&mut self.attempts, which) else {
            return;
        };
        let id = self.book.number();
        let expires = self.now + LIFETIME;
        let term = Term {
            expires,
            address: Some(address(to)),
        };
        let known = Known {
            shared,
            to,
            expires,
            unused: self.now,
            users: 0,
            limit: if shared { self.streams } else { 1 },
        };
        self.open.push((id, known));
        self.book.expect(shared);
        if shared {
            self.book.opened_shared(attempt, id, (), term, self.now);
        } else {
            let connection = ();
            let whole = Whole {
                id,
                connection,
                term,
            };
            self.book.opened(attempt, whole, self.now);
        }
    }

    fn give_back(&mut self, given: Given<(), ()>) {
        let id = match &given {
            Given::Whole(whole) => whole.id,
            Given::Stream(id, ()) => *id,
        };
        let now = self.now;
        if let Some((_, known)) = self.open.iter_mut().find(|(open, _)| *open == id) {
            known.users -= 1;
            known.unused = now;
            if !known.shared && self.gone.contains(&known.to) {
                known.expires = known.expires.min(now);
            }
        }
        match given {
            // Its task had ended meanwhile, which is found when it comes back.
            Given::Whole(_) if !self.open.iter().any(|(open, _)| *open == id) => {
                self.book.lost(Cause::Dead);
            }
            Given::Whole(whole) => self.book.give_back(whole, now),
            Given::Stream(id, ()) => self.book.stream_over(id, || now),
        }
    }

    fn die(&mut self, which: usize) {
        if !self.open.is_empty() {
            let (id, _) = self.open.remove(which % self.open.len());
            self.book.ended(id);
        }
    }

    fn lend(&mut self, given: Given<(), ()>) {
        let id = match &given {
            Given::Whole(whole) => whole.id,
            Given::Stream(id, ()) => *id,
        };
        let now = self.now;
        let no_successor = self.room() == 0 && self.attempts.is_empty();
        let idle = self.limits.idle;
        let (_, known) = self
            .open
            .iter_mut()
            .find(|(open, _)| *open == id)
            .expect("what is given out is open");
        assert!(known.users < known.limit, "more users than it takes");
        assert!(
            known.users > 0 || now < known.unused + idle,
            "it was unused for too long"
        );
        assert!(
            now < known.expires || (known.users > 0 && no_successor),
            "it was past its lifetime"
        );
        known.users += 1;
        self.lent.push(given);
    }

    fn proceed(&mut self) {
        while let Some(step) = self.book.next_step(self.now) {
            self.forget_closed();
            match step {
                Step::Open(attempt) => {
                    self.attempts.push(attempt);
                    self.begun += 1;
                    assert!(self.begun <= self.joined, "more is opened than waited for");
                    assert!(self.taken() <= self.limits.connections, "over the cap");
                }
                Step::Serve { who, given, .. } => {
                    let (first, _) = self.waiting.pop_first().expect("somebody waits");
                    assert_eq!(who, first, "not the first who came");
                    self.lend(given);
                }
            }
        }
        self.forget_closed();
    }

    /// What is unused and too old may be closed at any time, and cannot be used: here it counts as gone.
    fn forget_closed(&mut self) {
        let (now, idle) = (self.now, self.limits.idle);
        self.open.retain(|(_, known)| {
            known.users > 0 || (now < known.expires && now < known.unused + idle)
        });
    }

    fn check(&mut self) {
        assert!(self.taken() <= self.limits.connections, "over the cap");
        assert_eq!(self.book.is_waited_for(), !self.waiting.is_empty());
        if !self.waiting.is_empty() {
            let now = self.now;
            let no_successor = self.room() == 0 && self.attempts.is_empty();
            let free = self.open.iter().find(|(_, known)| {
                known.users < known.limit && (now < known.expires || (no_successor && known.shared))
            });
            assert!(free.is_none(), "somebody waits beside {free:?}");
            if self.unpromised() > 0 {
                assert_eq!(self.room(), 0, "somebody waits for nothing");
            }
            if self.attempts.is_empty() {
                assert!(self.taken() > 0, "somebody waits for nobody");
            }
        }
        let counted = |count: &Count| usize::try_from(count.get()).unwrap();
        assert_eq!(counted(&self.counts.opening), self.attempts.len());
        assert_eq!(counted(&self.counts.waiting), self.unpromised());
    }

    fn unpromised(&self) -> usize {
        let tickets = self.waiting.values();
        tickets
            .filter(|ticket| self.book.promised(**ticket).is_none())
            .count()
    }

    /// Lent connections whose end was noted stay on the book until they come back; shared ones do not.
    fn taken(&self) -> usize {
        let lent_dead = self.lent.iter().filter(|given| match given {
            Given::Whole(whole) => !self.open.iter().any(|(id, _)| *id == whole.id),
            Given::Stream(..) => false,
        });
        self.open.len() + self.attempts.len() + lent_dead.count()
    }

    fn room(&self) -> usize {
        self.limits.connections - self.taken()
    }

    /// Ends everything, after which nothing may be left.
    fn end(mut self) {
        while !(self.waiting.is_empty() && self.attempts.is_empty() && self.lent.is_empty()) {
            for event in [
                Event::ConnectFailed(0),
                Event::GiveBack(0),
                Event::Cancel(0),
            ] {
                self.happen(&event);
            }
        }
        self.happen(&Event::Tick(10_000));
        self.happen(&Event::Sweep);
        let counts = &self.counts;
        assert_eq!(counts.open(), 0, "a connection was lost sight of");
        for count in [&counts.idle, &counts.opening, &counts.waiting] {
            assert_eq!(count.get(), 0);
        }
        for _ in 0..self.limits.connections * self.limits.streams {
            self.happen(&Event::Request);
        }
        let opening = self.attempts.len();
        assert_eq!(opening, self.limits.connections, "a place was lost");
    }
}

fn pick<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}

fn address(to: u8) -> IpAddr {
    [192, 0, 2, to].into()
}

const LIFETIME: Duration = Duration::from_mins(1);

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_cap_holds_and_nobody_waits_for_nothing(
        connections in 1..5_usize,
        waiting in 0..4_usize,
        streams in 1..4_usize,
        shared: bool,
        events in prop::collection::vec(event(), 0..120),
    ) {
        let limits = Limits { connections, waiting, streams, idle: Duration::from_secs(20) };
        let mut world = World::new(limits, shared);
        for event in &events {
            world.happen(event);
        }
        world.end();
    }
}
