//! When a process that has ended is started again.

use std::time::{Duration, Instant};

/// One that has lived so long has ended for another reason than the last one.
const SETTLED: Duration = Duration::from_secs(60);
/// The second one in a row waits so long, each one after it twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// But not longer than this.
const LONGEST: Duration = Duration::from_secs(64);

/// How long processes of one kind wait before they are started again.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    /// A process has ended `now` that has `lived` so long; how long the next one
    /// waits. Those that end while others wait have ended for the same reason.
    pub(super) fn ended(&mut self, lived: Duration, now: Instant) -> Duration {
        if lived >= SETTLED {
            *self = Pause::default();
        } else if self.is_over(now) {
            let pause = match self.failures {
                0 => Duration::ZERO,
                failures => FIRST.saturating_mul(1 << (failures - 1).min(6)).min(LONGEST),
            };
            self.failures = self.failures.saturating_add(1);
            self.until = Some(now + pause);
        }
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether the next one may be started.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::Pause;
    use std::time::{Duration, Instant};

    #[test]
    fn the_pause_grows_while_processes_do_not_settle_and_has_a_bound() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let wait = pause.ended(Duration::from_millis(5), now);
            pauses.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(pause.ended(Duration::from_secs(3600), now), Duration::ZERO);
    }

    #[test]
    fn those_that_end_together_count_once() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        let pauses = [(); 50].map(|()| pause.ended(Duration::ZERO, now).as_secs());
        assert_eq!(pauses[..3], [0, 1, 1]);
        assert_eq!(pauses[49], 1);
        assert!(!pause.is_over(now) && pause.is_over(now + Duration::from_secs(1)));
    }
}
