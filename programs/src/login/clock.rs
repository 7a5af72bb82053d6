//! The minute that a login may take, over as many programs as the chain runs
//! (AUTHEXPIRE, reference authlib.md 1.1), and the wait behind a failure.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::environment;

/// From the greeting to the last attempt (reference wire.md 12).
const LOGIN: Duration = Duration::from_secs(60);

/// How long a failed login waits for its answer.
const PENALTY: Duration = Duration::from_secs(5);

/// When the login phase of this connection ends.
pub(super) struct Clock {
    /// In Unix seconds, for the programs to come.
    expiry: u64,
    /// The same moment for this process; a clock that is set meanwhile does
    /// not move it.
    deadline: Instant,
}

impl Clock {
    /// A new connection.
    pub(super) fn start() -> Self {
        Clock { expiry: unix_time().saturating_add(LOGIN.as_secs()), deadline: Instant::now() + LOGIN }
    }

    /// A chain has come back after a failure: waits as long as a failure costs,
    /// and then goes on with what is left. `None` if nothing is, or if the
    /// environment does not say.
    pub(super) fn after_failure() -> Option<Self> {
        thread::sleep(PENALTY);
        let expiry = u64::try_from(environment::number("AUTHEXPIRE")).ok()?;
        let left = expiry.checked_sub(unix_time()).filter(|left| *left > 0)?;
        // Nobody gets more than a whole login's time, whatever the variable says.
        let left = Duration::from_secs(left).min(LOGIN);
        Some(Clock { expiry, deadline: Instant::now() + left })
    }

    /// The end in Unix seconds.
    pub(super) fn expiry(&self) -> u64 {
        self.expiry
    }

    /// The end.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits as long as a failure costs; `false` if the login phase has ended
    /// meanwhile.
    pub(super) fn penalty(&self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        thread::sleep(PENALTY.min(left));
        left > PENALTY
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
