//! The faults on order, and which of them a request meets.

use std::collections::VecDeque;

use super::fault::{Fault, InvalidFault};

/// The faults on order, oldest first.
#[derive(Debug)]
pub(super) struct Faults {
    waiting: VecDeque<Fault>,
    random: fastrand::Rng,
}

impl Faults {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self {
            waiting: VecDeque::new(),
            random,
        }
    }

    pub(super) fn inject(&mut self, fault: Fault) -> Result<(), InvalidFault> {
        fault.check()?;
        if fault.times != Some(0) {
            self.waiting.push_back(fault);
        }
        Ok(())
    }

    /// Returns the oldest fault that hits a request for `path`, and counts the hit.
    pub(super) fn take(&mut self, path: &str) -> Option<Fault> {
        let random = &mut self.random;
        let index = self.waiting.iter().position(|fault| {
            // `f64` draws from [0, 1), so 1 always hits and 0 never does.
            fault.place.holds(path) && random.f64() < fault.probability
        })?;
        let fault = self.waiting.get_mut(index)?;
        match &mut fault.times {
            Some(1) => self.waiting.remove(index),
            Some(times) => {
                *times -= 1;
                Some(fault.clone())
            }
            None => Some(fault.clone()),
        }
    }

    pub(super) fn waiting(&self) -> Vec<Fault> {
        self.waiting.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::fault::Place;

    fn faults() -> Faults {
        Faults::new(fastrand::Rng::with_seed(7))
    }

    #[test]
    fn a_fault_hits_its_place_as_often_as_it_says() {
        let mut faults = faults();
        faults
            .inject(Fault::at(Place::Ims).status(503).times(2))
            .unwrap();

        assert_eq!(faults.take("/data/core/ups/access/entities"), None);
        assert!(faults.take("/ims/token/v3").is_some());
        assert!(faults.take("/ims/token/v3").is_some());
        assert_eq!(faults.take("/ims/token/v3"), None);
    }

    #[test]
    fn a_fault_without_a_number_stays_until_cleared() {
        let mut faults = faults();
        faults
            .inject(Fault::at(Place::Path("/data/core/ca".to_owned())).until_cleared())
            .unwrap();

        for _ in 0..5 {
            assert!(faults.take("/data/core/ca/attributes").is_some());
        }
        faults.clear();
        assert_eq!(faults.take("/data/core/ca/attributes"), None);
    }

    #[test]
    fn probability_decides_about_each_request() {
        let mut faults = faults();
        let mut fault = Fault::at(Place::Platform).until_cleared();
        fault.probability = 0.5;
        faults.inject(fault).unwrap();

        let hits = (0..1000).filter(|_| faults.take("/x").is_some()).count();

        assert!((400..600).contains(&hits), "{hits}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let mut faults = faults();
        let unlikely = Fault {
            probability: 1.5,
            ..Fault::at(Place::Ims)
        };
        let cases = [
            (Fault::at(Place::Ims).status(99), InvalidFault::Status),
            (unlikely, InvalidFault::Probability),
            (
                Fault::at(Place::Ims).header("a b", "c"),
                InvalidFault::Header("a b".to_owned()),
            ),
        ];
        for (fault, expected) in cases {
            assert_eq!(faults.inject(fault), Err(expected));
        }
    }
}
