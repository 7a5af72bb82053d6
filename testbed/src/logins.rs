//! Many logins at an authdaemond's socket, ours or Courier's, some at a time.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::authdaemond::ask;
use crate::pipe_program::login;

/// The hash of everybody's password, `secret`, which costs nothing to compare.
pub const HASH: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
/// How many accounts there are: `user0`, `user1`, …
pub const USERS: usize = 1000;

/// What came of them.
#[derive(Debug, Default)]
pub struct Logins {
    /// How long each has taken, shortest first.
    pub times: Vec<Duration>,
    /// What was said to those whose owner was not let in, or that he was
    /// taken for somebody else.
    pub lost: Vec<String>,
    /// How long all of them have taken.
    pub all: Duration,
}

impl Logins {
    /// Makes `count` of them at `socket`, `at_once` at a time, each as another
    /// user.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn make(socket: &Path, count: usize, at_once: usize) -> Outcome<Logins> {
        let next = AtomicUsize::new(0);
        let made = Mutex::new(Logins::default());
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..at_once {
                thread::Builder::new().spawn_scoped(scope, || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break;
                        }
                        let (begin, answer) = (Instant::now(), log_in(socket, number % USERS));
                        let time = begin.elapsed();
                        let mut made = made.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        made.times.push(time);
                        made.lost.extend(answer.err().map(|fault| fault.to_string()));
                    }
                })?;
            }
            Ok::<_, std::io::Error>(())
        })?;
        let mut made = made.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        made.all = begin.elapsed();
        made.times.sort_unstable();
        Ok(made)
    }

    /// Adds those of another run.
    pub fn extend(&mut self, other: Logins) {
        self.times.extend(other.times);
        self.times.sort_unstable();
        self.lost.extend(other.lost);
        self.all += other.all;
    }

    /// The time that `percent` of them have not exceeded.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(index).copied().unwrap_or_default()
    }
}

fn log_in(socket: &Path, user: usize) -> Outcome {
    let answer = String::from_utf8(ask(socket, &login(&format!("user{user}"), "secret"))?)?;
    if answer.contains(&format!("\nADDRESS=user{user}\n")) && answer.ends_with("\n.\n") {
        return Ok(());
    }
    Err(format!("user{user}: {answer:?}").into())
}

/// The table of these accounts, in SQL that every server understands.
#[must_use]
pub fn table() -> String {
    let rows: Vec<String> =
        (0..USERS).map(|user| format!("('user{user}', '{HASH}', 5000, 5001, '/home/user{user}')")).collect();
    format!(
        "CREATE TABLE passwd (id varchar(100) PRIMARY KEY, crypt varchar(100), uid int, gid int, home varchar(100)); \
        INSERT INTO passwd VALUES {};",
        rows.join(", ")
    )
}

/// The same as a userdb.
#[must_use]
pub fn userdb() -> String {
    (0..USERS)
        .map(|user| format!("user{user}\tuid=5000|gid=5001|home=/home/user{user}|systempw={HASH}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Logins;
    use std::time::Duration;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times = (1..=200).map(Duration::from_millis).collect();
        let logins = Logins { times, ..Logins::default() };
        assert_eq!(logins.percentile(50), Duration::from_millis(100));
        assert_eq!(logins.percentile(99), Duration::from_millis(198));
        assert_eq!(logins.percentile(100), Duration::from_millis(200));
        assert_eq!(Logins::default().percentile(50), Duration::ZERO);
    }
}
