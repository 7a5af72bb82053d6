//! The minute that a login may take, over as many programs as the chain runs
//! (AUTHEXPIRE, reference authlib.md 1.1), and the wait behind a failure, which
//! grows with each one on a connection (ledger 124).
//!
//! That is all a chain can do against guessing: its programs know of one
//! connection. authdaemond knows of more (`authlib::abuse`).

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::chain::Handover;
use crate::environment;

/// From the greeting to the last attempt if nobody says otherwise (reference
/// wire.md 12).
const LOGIN: Duration = Duration::from_secs(60);

/// How long the first failed login waits for its answer. Each one waits so
/// much longer than the one before.
const PENALTY: Duration = Duration::from_secs(5);

/// So many failed logins end a connection.
const FAILURES: u32 = 3;

/// Says to the programs to come how many there were.
const VARIABLE: &str = "POSTRIDER_ATTEMPT_FAILURES";

/// When the login phase of this connection ends.
pub(super) struct Clock {
    /// In Unix seconds, for the programs to come.
    expiry: u64,
    /// The same moment for this process; a clock that is set meanwhile does
    /// not move it.
    deadline: Instant,
    /// Failed logins so far.
    failures: u32,
}

/// What comes after a failed login, when its wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// The client is told, and may try again.
    Again,
    /// It is told, and that was its last try.
    Enough,
    /// The login phase has ended meanwhile.
    TooLate,
}

impl Clock {
    /// A new connection.
    pub(super) fn start() -> Self {
        let login = login();
        let expiry = unix_time().saturating_add(login.as_secs());
        Clock { expiry, deadline: Instant::now() + login, failures: 0 }
    }

    /// What an earlier login program has [noted](Clock::note), from whose chain
    /// we come back.
    pub(super) fn noted() -> Self {
        let expiry = u64::try_from(environment::number("AUTHEXPIRE")).unwrap_or_default();
        // Nobody gets more than a whole login's time, whatever the variable says.
        let left = Duration::from_secs(expiry.saturating_sub(unix_time())).min(login());
        let failures = u32::try_from(environment::number(VARIABLE)).unwrap_or(FAILURES);
        Clock { expiry, deadline: Instant::now() + left, failures }
    }

    /// Leaves this for the login program that a chain may run again.
    pub(super) fn note(&self, handover: &mut Handover) {
        handover.set("AUTHEXPIRE", self.expiry.to_string());
        handover.set(VARIABLE, self.failures.to_string());
    }

    /// The end.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits as long as one more failure costs.
    pub(super) fn penalty(&mut self) -> AfterFailure {
        self.failures = self.failures.saturating_add(1);
        let penalty = penalty(self.failures);
        let left = self.deadline.saturating_duration_since(Instant::now());
        thread::sleep(penalty.min(left));
        if left <= penalty { AfterFailure::TooLate } else { after_failure(self.failures) }
    }
}

/// From the greeting to the last attempt: POSTRIDER_LOGIN_WITHIN, at most an hour.
pub(crate) fn login() -> Duration {
    environment::seconds("POSTRIDER_LOGIN_WITHIN", LOGIN).min(Duration::from_secs(3600))
}

/// How long the answer to the last of `failures` failed logins waits.
pub(crate) fn penalty(failures: u32) -> Duration {
    PENALTY * failures.min(FAILURES)
}

/// What comes then.
pub(crate) fn after_failure(failures: u32) -> AfterFailure {
    if failures >= FAILURES { AfterFailure::Enough } else { AfterFailure::Again }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
