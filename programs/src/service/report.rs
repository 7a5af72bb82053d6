//! What auth, proxy processes and the fronts tell the monitor of themselves: that they are well,
//! or why they cannot serve.

use std::fmt::Display;
use std::process::ExitCode;

use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};
use super::wire::Wire;
use crate::log;

/// A message about its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The answer to a ping of that number: whatever was ordered before is done.
    Alive(u64),
    /// It cannot serve, for this reason, and ends.
    Cannot(String),
    /// It can take nobody else in, for this reason; who is there may stay.
    Leaves(String),
}

const ALIVE: u8 = b'V';
const CANNOT: u8 = b'X';
const LEAVES: u8 = b'L';

impl Report {
    /// The message.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Report::Alive(ping) => Writer::new(ALIVE).number(*ping).message(),
            Report::Cannot(reason) => Writer::new(CANNOT).octets(reason.as_bytes()).message(),
            Report::Leaves(reason) => Writer::new(LEAVES).octets(reason.as_bytes()).message(),
        }
    }

    /// What `message` says, or `None` if it is about something else.
    ///
    /// # Errors
    /// It is no report, though it begins like one.
    pub(super) fn decode(message: &[u8]) -> Result<Option<Report>, Malformed> {
        let (kind, mut fields) = Reader::new(message)?;
        let report = match kind {
            ALIVE => Report::Alive(fields.number()?),
            // Its sender may have been taken over.
            CANNOT => Report::Cannot(log::Harmless(fields.octets()?).to_string()),
            LEAVES => Report::Leaves(log::Harmless(fields.octets()?).to_string()),
            _ => return Ok(None),
        };
        fields.end()?;
        Ok(Some(report))
    }

    /// Sends it; whether the monitor gets it.
    pub(super) fn send(&self, monitor: &Wire) -> bool {
        matches!(monitor.send(&self.encode(), None), Ok(true))
    }
}

/// Tells the monitor why the process called `name` ends, or the log if it
/// cannot be told.
pub(super) fn ended<E: Display>(name: &str, monitor: &Wire, outcome: Result<(), E>) -> ExitCode {
    let Err(reason) = outcome else { return ExitCode::SUCCESS };
    if !Report::Cannot(reason.to_string()).send(monitor) {
        log::error(&format_args!("{name}: {reason}"));
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::service::guest::Origin;
    use crate::service::ticket::Refusal;

    #[test]
    fn reports_arrive_as_they_left_and_other_messages_are_none() {
        let reason = || "no certificate".to_owned();
        for report in [Report::Alive(7), Report::Cannot(reason()), Report::Leaves(reason())] {
            assert_eq!(Report::decode(&report.encode()), Ok(Some(report.clone())));
            assert!(Report::decode(&report.encode()[..3]).is_err());
        }
        let origin = Origin { ip: "::1".into(), port: "1".into(), tls: false };
        assert_eq!(Report::decode(&Refusal::InUse.encode(&origin)), Ok(None));
    }

    #[test]
    fn a_reason_cannot_forge_a_line_of_the_log() {
        let report = Report::Cannot("a\nINFO: LOGIN".to_owned());
        assert_eq!(Report::decode(&report.encode()), Ok(Some(Report::Cannot("a.INFO: LOGIN".to_owned()))));
    }
}
