//! Which connections there are and who has them: bookkeeping without I/O and without a clock.
//!
//! It is told what has happened and then asked, by [`Book::next_step`], what is to be done about it until there is
//! nothing more. So one place decides who is served and when a connection is opened, whatever the occasion was.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::counts::{Cause, Counts};
use super::line::{Attempt, Line, Ticket};

/// What the book keeps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most connections, those being opened included.
    pub(super) connections: usize,
    /// The most who may wait without a connection being opened for them.
    pub(super) waiting: usize,
    /// The most exchanges at a time on a shared connection.
    pub(super) streams: usize,
    /// How long an unused connection is kept.
    pub(super) idle: Duration,
}

/// The connections of one pool: `C` is one for a single exchange at a time, `S` one that is shared, `W` a waiter.
#[derive(Debug)]
pub(super) struct Book<C, S, W> {
    limits: Limits,
    /// Whether connections will probably be shared; one is then opened for many waiters.
    shares: bool,
    /// How many exchanges at a time the peer took last: what a new connection is expected to take.
    streams: usize,
    /// The most recently used is last, so that the others can grow old and be closed.
    idle: Vec<Idle<C>>,
    /// How many whole connections are lent.
    lent: usize,
    shared: Vec<Shared<S>>,
    line: Line<W>,
    /// Addresses that the name has no more. Usually there are none.
    gone: Vec<IpAddr>,
    counts: Arc<Counts>,
    next: u64,
    /// Whether what nobody waits for is closed rather than kept.
    retired: bool,
}

/// A connection's number, unique in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u64);

/// A connection for one exchange at a time.
#[derive(Debug)]
pub(super) struct Whole<C> {
    pub(super) id: Id,
    pub(super) connection: C,
    pub(super) term: Term,
}

/// How long a connection may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// When its lifetime ends.
    pub(super) expires: Instant,
    /// Where it leads to: its lifetime ends too when that [has gone](Book::retire_addresses).
    pub(super) address: Option<IpAddr>,
}

#[derive(Debug)]
struct Idle<C> {
    whole: Whole<C>,
    until: Instant,
    /// Whether it has served nobody yet.
    fresh: bool,
}

#[derive(Debug)]
struct Shared<S> {
    id: Id,
    connection: S,
    term: Term,
    streams: usize,
    limit: usize,
    /// When it is closed if it stays without streams.
    until: Instant,
    fresh: bool,
}

/// What somebody is given.
#[derive(Debug)]
pub(super) enum Given<C, S> {
    /// A whole connection.
    Whole(Whole<C>),
    /// A place on a shared one.
    Stream(Id, S),
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step<C, S, W> {
    /// A connection has to be opened.
    Open(Attempt),
    /// Somebody gets something; `fresh` when it has served nobody yet.
    Serve {
        who: W,
        given: Given<C, S>,
        fresh: bool,
    },
}

impl<C, S: Clone, W> Book<C, S, W> {
    /// Makes an empty book. `shares` says whether connections will probably be shared.
    pub(super) fn new(limits: Limits, shares: bool, counts: Arc<Counts>) -> Self {
        Self {
            limits,
            shares,
            streams: limits.streams,
            idle: Vec::new(),
            lent: 0,
            shared: Vec::new(),
            line: Line::new(),
            gone: Vec::new(),
            counts,
            next: 0,
            retired: false,
        }
    }

    /// Gives what is there to a newcomer. Nobody overtakes those who wait.
    pub(super) fn take(&mut self, now: Instant) -> Option<Given<C, S>> {
        if !self.line.is_empty() {
            return None;
        }
        let (given, _) = self.available(now)?;
        self.counts.reused.increment();
        self.publish_idle();
        Some(given)
    }

    /// Puts somebody at the end of the line, or gives them back when it is full.
    pub(super) fn join(&mut self, who: W) -> Result<Ticket, W> {
        let nothing_to_come = self.room() == 0 && !self.line.has_spare(self.promise());
        if nothing_to_come {
            if self.line.unpromised() >= self.limits.waiting {
                self.counts.refused.increment();
                return Err(who);
            }
            self.counts.waited.increment();
        }
        Ok(self.line.join(who))
    }

    /// Takes somebody out of the line who has gone away. `None`: they had been served before.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let who = self.line.leave(ticket);
        self.publish_line();
        who
    }

    /// Returns the attempt that opens a connection for `ticket`.
    pub(super) fn promised(&self, ticket: Ticket) -> Option<Attempt> {
        self.line.promised(ticket)
    }

    /// Says whether connections will probably be shared from now on.
    pub(super) fn expect(&mut self, shares: bool) {
        self.shares = shares;
    }

    /// Returns a number for a connection.
    pub(super) fn number(&mut self) -> Id {
        self.next += 1;
        Id(self.next)
    }

    /// Adds a connection that an attempt has opened, for one exchange at a time.
    pub(super) fn opened(&mut self, attempt: Attempt, whole: Whole<C>, now: Instant) {
        self.line.succeed(attempt);
        self.counts.opened.increment();
        self.publish_line();
        self.put(whole, true, now);
    }

    /// Adds a shared connection that an attempt has opened.
    pub(super) fn opened_shared(
        &mut self,
        attempt: Attempt,
        id: Id,
        connection: S,
        term: Term,
        now: Instant,
    ) {
        self.line.succeed(attempt);
        self.counts.opened.increment();
        self.shared.push(Shared {
            id,
            connection,
            term,
            streams: 0,
            limit: self.streams,
            until: term.expires.min(now + self.limits.idle),
            fresh: true,
        });
        self.publish_line();
        self.publish_idle();
    }

    /// Notes that an attempt has failed, and returns those who fail with it.
    pub(super) fn failed(&mut self, attempt: Attempt) -> Vec<W> {
        self.counts.not_opened.increment();
        let failed = self.line.fail(attempt);
        self.publish_line();
        failed
    }

    /// Takes a whole connection back that can be used again.
    pub(super) fn give_back(&mut self, whole: Whole<C>, now: Instant) {
        self.lent -= 1;
        if now >= whole.term.expires || self.has_gone(&whole.term) {
            return self.counts.closed(Cause::Lifetime).increment();
        }
        if self.retired && self.line.is_empty() {
            return self.counts.closed(Cause::Replaced).increment();
        }
        self.put(whole, false, now);
    }

    /// Notes that a whole connection that was lent does not come back.
    pub(super) fn lost(&mut self, cause: Cause) {
        self.lent -= 1;
        self.counts.closed(cause).increment();
    }

    /// Notes that an exchange on a shared connection is over.
    pub(super) fn stream_over(&mut self, id: Id, now: impl FnOnce() -> Instant) {
        let found = self.shared.iter_mut().find(|shared| shared.id == id);
        // What had ended on its own is no longer here.
        let Some(shared) = found else { return };
        shared.streams -= 1;
        shared.fresh = false;
        if shared.streams == 0 {
            let now = now();
            shared.until = shared.term.expires.min(now + self.limits.idle);
            self.close_unused(now);
            self.close_retired();
            self.publish_idle();
        }
    }

    /// Notes that a connection has ended on its own. One that is lent is noted when it comes back.
    pub(super) fn ended(&mut self, id: Id) {
        let before = self.idle.len() + self.shared.len();
        self.idle.retain(|idle| idle.whole.id != id);
        self.shared.retain(|shared| shared.id != id);
        if self.idle.len() + self.shared.len() < before {
            self.counts.closed(Cause::Dead).increment();
        }
        self.publish_idle();
    }

    /// Says how many exchanges at a time the peer takes on a shared connection.
    pub(super) fn allow_streams(&mut self, id: Id, streams: usize) {
        // With none at all a request would wait here for what may never come.
        let streams = streams.clamp(1, self.limits.streams);
        self.streams = streams;
        if let Some(shared) = self.shared.iter_mut().find(|shared| shared.id == id) {
            shared.limit = streams;
        }
    }

    /// Closes what has been unused or open for too long, or is found to be dead.
    pub(super) fn sweep(&mut self, now: Instant, is_alive: impl Fn(&mut C) -> bool) {
        let counts = &self.counts;
        self.idle.retain_mut(|idle| {
            let ended = if now >= idle.until {
                Some(cause(now, &idle.whole.term))
            } else {
                (!is_alive(&mut idle.whole.connection)).then_some(Cause::Dead)
            };
            if let Some(cause) = ended {
                counts.closed(cause).increment();
            }
            ended.is_none()
        });
        self.close_unused(now);
        self.close_retired();
        self.publish_idle();
    }

    /// Ends the lifetime of all connections to addresses that the name has no more, also of those that are lent, and of
    /// those that are still being opened.
    pub(super) fn retire_addresses(&mut self, gone: Vec<IpAddr>, now: Instant) {
        self.gone = gone;
        if self.gone.is_empty() {
            return;
        }
        let (counts, gone) = (&self.counts, &self.gone);
        let has_gone = |term: &Term| term.address.is_some_and(|it| gone.contains(&it));
        self.idle.retain(|idle| {
            let ends = has_gone(&idle.whole.term);
            if ends {
                counts.closed(Cause::Lifetime).increment();
            }
            !ends
        });
        for shared in &mut self.shared {
            if has_gone(&shared.term) {
                shared.term.expires = shared.term.expires.min(now);
                shared.until = shared.until.min(now);
            }
        }
        self.close_unused(now);
        self.publish_idle();
    }

    /// Closes what is unused, and from now on what comes to be, as soon as nobody waits.
    pub(super) fn retire(&mut self) {
        self.retired = true;
        self.close_retired();
        self.publish_idle();
    }

    /// Tells whether there is no connection, nobody who waits for one, and nothing under way that may make one.
    pub(super) fn is_empty(&self) -> bool {
        let none = self.idle.is_empty() && self.shared.is_empty() && self.lent == 0;
        none && self.line.is_empty() && self.line.attempts() == 0
    }

    fn close_retired(&mut self) {
        if !self.retired || !self.line.is_empty() {
            return;
        }
        let counts = &self.counts;
        self.idle
            .drain(..)
            .for_each(|_| counts.closed(Cause::Replaced).increment());
        self.shared.retain(|shared| {
            if shared.streams == 0 {
                counts.closed(Cause::Replaced).increment();
            }
            shared.streams > 0
        });
    }

    /// Tells whether somebody waits.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.line.is_empty()
    }

    /// Returns what is to be done next; `None` when nothing is.
    pub(super) fn next_step(&mut self, now: Instant) -> Option<Step<C, S, W>> {
        let step = self.step(now);
        self.publish_idle();
        self.publish_line();
        step
    }

    fn step(&mut self, now: Instant) -> Option<Step<C, S, W>> {
        if self.line.is_empty() {
            return None;
        }
        if let Some((given, fresh)) = self.available(now) {
            let who = self.line.pop()?;
            if !fresh {
                self.counts.reused.increment();
            }
            return Some(Step::Serve { who, given, fresh });
        }
        let promise = self.promise();
        self.line.promise_spare(promise);
        let opens = self.line.unpromised() > 0 && self.room() > 0;
        opens.then(|| Step::Open(self.line.begin(promise)))
    }

    fn put(&mut self, whole: Whole<C>, fresh: bool, now: Instant) {
        self.idle.push(Idle {
            until: whole.term.expires.min(now + self.limits.idle),
            whole,
            fresh,
        });
        self.publish_idle();
    }

    fn available(&mut self, now: Instant) -> Option<(Given<C, S>, bool)> {
        if !self.shared.is_empty() {
            self.close_unused(now);
            let living = self.stream(|shared| now < shared.term.expires);
            if living.is_some() {
                return living;
            }
        }
        while let Some(idle) = self.idle.pop() {
            if now < idle.until {
                self.lent += 1;
                return Some((Given::Whole(idle.whole), idle.fresh));
            }
            let cause = cause(now, &idle.whole.term);
            self.counts.closed(cause).increment();
        }
        // A shared connection past its lifetime takes nobody on, unless there is no room for a successor and none is
        // being opened: whoever waits would wait for its longest exchange.
        if self.shared.is_empty() || self.room() > 0 || self.line.attempts() > 0 {
            return None;
        }
        self.stream(|_| true)
    }

    /// Gives a place on the first shared connection that has one and suits.
    fn stream(&mut self, suits: impl Fn(&Shared<S>) -> bool) -> Option<(Given<C, S>, bool)> {
        let mut all = self.shared.iter_mut();
        let shared = all.find(|shared| shared.streams < shared.limit && suits(shared))?;
        shared.streams += 1;
        let given = Given::Stream(shared.id, shared.connection.clone());
        Some((given, shared.fresh))
    }

    fn close_unused(&mut self, now: Instant) {
        let counts = &self.counts;
        self.shared.retain(|shared| {
            let keep = shared.streams > 0 || now < shared.until;
            if !keep {
                counts.closed(cause(now, &shared.term)).increment();
            }
            keep
        });
    }

    fn has_gone(&self, term: &Term) -> bool {
        // Asked for every exchange, and the list is empty but for once in a while.
        !self.gone.is_empty() && term.address.is_some_and(|it| self.gone.contains(&it))
    }

    fn room(&self) -> usize {
        let taken = self.idle.len() + self.lent + self.shared.len() + self.line.attempts();
        self.limits.connections.saturating_sub(taken)
    }

    /// Returns for how many waiters one connection is opened.
    fn promise(&self) -> usize {
        if self.shares { self.streams } else { 1 }
    }

    fn publish_idle(&self) {
        let mut idle = self.idle.len();
        if !self.shared.is_empty() {
            idle += self
                .shared
                .iter()
                .filter(|shared| shared.streams == 0)
                .count();
        }
        self.counts.idle.set(idle);
    }

    fn publish_line(&self) {
        self.counts.opening.set(self.line.attempts());
        self.counts.waiting.set(self.line.unpromised());
    }
}

fn cause(now: Instant, term: &Term) -> Cause {
    if now < term.expires {
        Cause::Idle
    } else {
        Cause::Lifetime
    }
}
