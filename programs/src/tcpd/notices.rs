//! What couriertcpd itself says on descriptor 2 (reference couriertcpd.md 12).

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::limits::{Client, Level};
use crate::log;

/// Lines that would repeat with every connection come once in this time.
const SELDOM: Duration = Duration::from_secs(60);

/// The lines, and when those that may not repeat were last said.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    full: Option<Instant>,
    warning: Option<Instant>,
    trouble: Option<Instant>,
}

impl Notices {
    /// How many connections there are, if that is worth a line.
    pub(crate) fn level(&mut self, level: Level, now: Instant) {
        match level {
            Level::Normal => {}
            Level::Warning(count) => {
                seldom(&mut self.warning, now, format_args!("WARN: {count} active connections."));
            }
            Level::Full(count) => {
                seldom(&mut self.full, now, format_args!("ALERT: {count} maximum active connections."));
            }
        }
    }

    /// accept(2) failed for a reason that will not pass by itself.
    pub(super) fn cannot_accept(&mut self, error: &io::Error, now: Instant) {
        seldom(&mut self.trouble, now, format_args!("ERR: accept: {}", super::reason(error)));
    }
}

/// `client` has as many connections as one address may have.
pub(crate) fn address_full(client: Client) {
    say(format_args!("ALERT: Maximum connection limit reached for {client}"));
}

/// The program could not be started; Courier's words.
pub(super) fn cannot_start(program: &dyn fmt::Display, error: &io::Error) {
    say(format_args!("{program}: {}", super::reason(error)));
}

/// The logging program has ended and will be started again.
pub(super) fn logger_ended(program: &dyn fmt::Display) {
    say(format_args!("WARN: {program} ended, it will be started again"));
}

/// `-nodnslookup` was not given, but names are not looked up (ledger 506).
pub(super) fn no_host_names() {
    say(format_args!("WARN: host names are not looked up, TCPREMOTEHOST and TCPLOCALHOST are not set"));
}

fn seldom(last: &mut Option<Instant>, now: Instant, text: fmt::Arguments<'_>) {
    if due(last, now) {
        say(text);
    }
}

/// Whether the last time is long enough ago; if so, this is the last time.
fn due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= SELDOM);
    if due {
        *last = Some(now);
    }
    due
}

/// Writes a line, unless whoever reads the log has stopped reading: a line is
/// lost then, but no client waits for the log.
fn say(text: fmt::Arguments<'_>) {
    let stderr = io::stderr();
    let mut descriptor = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if matches!(poll(&mut descriptor, Some(&now)), Ok(1)) {
        log::line(text);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::due;

    #[test]
    fn a_line_comes_once_a_minute() {
        let start = Instant::now();
        let mut last = None;
        assert!(due(&mut last, start));
        assert!(!due(&mut last, start + Duration::from_secs(59)));
        assert!(due(&mut last, start + Duration::from_secs(60)));
        assert!(!due(&mut last, start + Duration::from_secs(61)));
    }
}
