//! How many passwords are compared at once.
//!
//! A comparison takes a core for a while, and some of them much memory, so
//! more at once than there are cores make each slower and none quicker. Whoever
//! wants to compare one asks for a place first, and waits in line for it.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::verify;
use crate::account::Unavailable;

/// A number of places, and those who wait for one, in the order in which they
/// came.
pub struct Limit(Mutex<State>);

struct State {
    /// Only above 0 while nobody waits.
    free: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

/// Somebody in line. A bell each, so that a free place wakes one and not all.
#[derive(Default)]
struct Waiter {
    is_called: AtomicBool,
    bell: Condvar,
}

/// The right to compare one password now; whoever is next gets it when it is
/// dropped.
#[must_use = "the place is given back at once"]
pub struct Place<'a>(&'a Limit);

impl Limit {
    /// At most `at_once` places.
    #[must_use]
    pub fn new(at_once: NonZeroUsize) -> Self {
        Limit(Mutex::new(State { free: at_once.get(), waiting: VecDeque::new() }))
    }

    /// As many places as this process may use cores.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Limit::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// If none was free before `deadline`.
    pub fn enter(&self, deadline: Instant) -> Result<Place<'_>, Unavailable> {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Ok(Place(self));
        }
        let own = Arc::new(Waiter::default());
        state.waiting.push_back(Arc::clone(&own));
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.retain(|waiter| !Arc::ptr_eq(waiter, &own));
                return Err(Unavailable::new("too many passwords wait to be compared"));
            }
            (state, _) = own.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            if own.is_called.load(Ordering::Relaxed) {
                return Ok(Place(self));
            }
        }
    }

    /// [`verify`] in a place of its own.
    ///
    /// # Errors
    /// As [`verify`] and [`enter`](Limit::enter).
    pub fn verify(&self, stored: &[u8], clear: &[u8], deadline: Instant) -> Result<bool, Unavailable> {
        let _place = self.enter(deadline)?;
        verify(stored, clear)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        match state.waiting.pop_front() {
            Some(next) => {
                next.is_called.store(true, Ordering::Relaxed);
                next.bell.notify_one();
            }
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;
    use std::num::NonZeroUsize;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    const FOR_EVER: Duration = Duration::from_secs(3600);

    fn limit(places: usize) -> Limit {
        Limit::new(NonZeroUsize::new(places).unwrap())
    }

    /// Waits until `number` are in line.
    fn until_waiting(limit: &Limit, number: usize) {
        while limit.lock().waiting.len() != number {
            thread::yield_now();
        }
    }

    #[test]
    fn never_more_are_in_than_there_are_places_and_all_get_in() {
        let (limit, deadline) = (limit(3), Instant::now() + FOR_EVER);
        let (inside, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let _place = limit.enter(deadline).unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 3 && done.load(Ordering::SeqCst) == 50);
        assert_eq!(limit.lock().free, 3);
    }

    #[test]
    fn who_comes_first_is_first() {
        let (limit, deadline) = (limit(1), Instant::now() + FOR_EVER);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let first = limit.enter(deadline).unwrap();
            for number in 0..10 {
                let (limit, order) = (&limit, &order);
                scope.spawn(move || {
                    let _place = limit.enter(deadline).unwrap();
                    order.lock().unwrap().push(number);
                });
                until_waiting(limit, number + 1);
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn who_has_no_time_is_told_so_and_takes_nobodys_place() {
        let limit = limit(1);
        let place = limit.enter(Instant::now()).unwrap();
        assert!(limit.enter(Instant::now()).is_err());
        assert!(limit.enter(Instant::now() + Duration::from_millis(20)).is_err());
        assert!(limit.verify(b"{PLAIN}secret", b"secret", Instant::now()).is_err());
        drop(place);
        assert_eq!(limit.lock().free, 1);
        assert!(limit.verify(b"{PLAIN}secret", b"secret", Instant::now()).unwrap());
    }

    #[test]
    fn a_comparison_that_panics_gives_its_place_back() {
        let limit = limit(1);
        let result = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _place = limit.enter(Instant::now()).unwrap();
                    panic!("as tests may");
                })
                .join()
        });
        assert!(result.is_err() && limit.enter(Instant::now()).is_ok());
    }
}
