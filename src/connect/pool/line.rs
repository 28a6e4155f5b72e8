//! Who waits for a connection, in the order they came, and which attempt to open one was made for whom.

use std::collections::BTreeMap;

/// A place in the line. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// An attempt to open a connection, from its beginning to its success or failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempt(u64);

/// The line.
///
/// An attempt is *promised* to those it was begun for. Who is served by something else leaves the promise to the first
/// who has none, so that nothing more is opened than was waited for; who still holds it when the attempt fails, fails.
#[derive(Debug)]
pub(super) struct Line<W> {
    waiters: BTreeMap<Ticket, Waiter<W>>,
    unpromised: usize,
    /// Attempts under way, each with how often it has been promised.
    attempts: BTreeMap<Attempt, usize>,
    next: u64,
}

#[derive(Debug)]
struct Waiter<W> {
    who: W,
    promise: Option<Attempt>,
}

impl<W> Line<W> {
    pub(super) fn new() -> Self {
        Self {
            waiters: BTreeMap::new(),
            unpromised: 0,
            attempts: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Returns how many wait without a promise.
    pub(super) fn unpromised(&self) -> usize {
        self.unpromised
    }

    /// Returns how many attempts are under way.
    pub(super) fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// Tells whether an attempt under way may be promised once more, when each may be `most` times.
    pub(super) fn has_spare(&self, most: usize) -> bool {
        self.attempts.values().any(|promised| *promised < most)
    }

    /// Returns the attempt that is promised to `ticket`, if it is in the line.
    pub(super) fn promised(&self, ticket: Ticket) -> Option<Attempt> {
        self.waiters.get(&ticket)?.promise
    }

    /// Puts somebody at the end.
    pub(super) fn join(&mut self, who: W) -> Ticket {
        let ticket = Ticket(self.number());
        let waiter = Waiter { who, promise: None };
        self.waiters.insert(ticket, waiter);
        self.unpromised += 1;
        ticket
    }

    /// Takes out whoever is first.
    pub(super) fn pop(&mut self) -> Option<W> {
        let (_, waiter) = self.waiters.pop_first()?;
        self.pass_on(waiter.promise);
        Some(waiter.who)
    }

    /// Takes somebody out, wherever they stand.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let waiter = self.waiters.remove(&ticket)?;
        self.pass_on(waiter.promise);
        Some(waiter.who)
    }

    /// Promises attempts under way to those without a promise, each up to `most` times.
    pub(super) fn promise_spare(&mut self, most: usize) {
        while self.unpromised > 0 {
            let spare = self
                .attempts
                .iter_mut()
                .find(|(_, promised)| **promised < most);
            let Some((attempt, promised)) = spare else {
                return;
            };
            *promised += 1;
            let attempt = *attempt;
            self.promise(attempt);
        }
    }

    /// Begins an attempt and promises it to the first `most` without a promise.
    pub(super) fn begin(&mut self, most: usize) -> Attempt {
        let attempt = Attempt(self.number());
        let promised = self.unpromised.min(most);
        for _ in 0..promised {
            self.promise(attempt);
        }
        self.attempts.insert(attempt, promised);
        attempt
    }

    /// Ends an attempt that has succeeded. Who it was promised to stays in the line, without a promise.
    pub(super) fn succeed(&mut self, attempt: Attempt) {
        self.attempts.remove(&attempt);
        for waiter in self.waiters.values_mut() {
            if waiter.promise == Some(attempt) {
                waiter.promise = None;
                self.unpromised += 1;
            }
        }
    }

    /// Ends an attempt that has failed, and takes those out it was promised to.
    pub(super) fn fail(&mut self, attempt: Attempt) -> Vec<W> {
        self.attempts.remove(&attempt);
        self.waiters
            .extract_if(.., |_, waiter| waiter.promise == Some(attempt))
            .map(|(_, waiter)| waiter.who)
            .collect()
    }

    fn pass_on(&mut self, promise: Option<Attempt>) {
        match promise {
            Some(attempt) if self.unpromised > 0 => self.promise(attempt),
            Some(attempt) => {
                // The next who comes takes it up, so that no other attempt is made beside it.
                if let Some(promised) = self.attempts.get_mut(&attempt) {
                    *promised -= 1;
                }
            }
            None => self.unpromised -= 1,
        }
    }

    /// Promises `attempt` to the first who has no promise.
    fn promise(&mut self, attempt: Attempt) {
        let mut waiters = self.waiters.values_mut();
        if let Some(waiter) = waiters.find(|waiter| waiter.promise.is_none()) {
            waiter.promise = Some(attempt);
            self.unpromised -= 1;
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
