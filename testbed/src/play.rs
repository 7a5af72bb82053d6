//! Plays a dialogue on a wire and compares.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::dialogue::{Act, Answer, Dialogue, Expected, Side, State, Step};
use crate::pattern::{Pattern, printable};
use crate::wire::Wire;
use crate::{Fault, Outcome};

/// Where a session begins: at the login program, or at the program that
/// serves an opened maildrop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Greeting first, then AUTHORIZATION.
    Login,
    /// `+OK logged in.` first.
    Maildrop,
}

/// What a dialogue is played on, beside the wire.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Who answers.
    pub side: Side,
    /// Where the session begins.
    pub door: Door,
    /// The account's Maildir and the owner of files in it, if there is a disk.
    pub maildir: Option<(&'a Path, (u32, u32))>,
    /// The log that the server writes, if it writes one.
    pub log: Option<&'a Path>,
    /// Whether all is said inside TLS, so that the log says so too.
    pub tls: bool,
}

/// Plays `dialogue` from its beginning to the end of the session, then looks
/// at disk and log.
///
/// # Errors
/// The first thing that is not as written, and the session up to there.
pub fn play(dialogue: &Dialogue, wire: &mut dyn Wire, stage: &Stage<'_>) -> Outcome {
    let mut session = Session {
        wire,
        received: Vec::new(),
        last_line: Vec::new(),
        ended: false,
        transcript: String::new(),
    };
    let result = session.play(dialogue, stage);
    result.map_err(|fault| {
        let log = stage.log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
        format!("{}: {fault}\n\n{}\n{log}", dialogue.name, session.transcript).into()
    })
}

/// The client's side of a session while it goes on.
struct Session<'a> {
    wire: &'a mut dyn Wire,
    /// Octets received and not yet looked at.
    received: Vec<u8>,
    /// The last line that was looked at.
    last_line: Vec<u8>,
    /// The server has closed.
    ended: bool,
    transcript: String,
}

impl Session<'_> {
    fn play(&mut self, dialogue: &Dialogue, stage: &Stage<'_>) -> Outcome {
        self.open(dialogue.state, stage.door)?;
        for step in &dialogue.steps {
            self.step(step, stage).map_err(|fault| format!("line {}: {fault}", step.line))?;
        }
        self.close()?;
        dialogue.steps.iter().try_for_each(|step| {
            check(step, stage).map_err(|fault| format!("line {}: {fault}", step.line).into())
        })
    }

    /// What has been said when a dialogue in `state` begins.
    fn open(&mut self, state: State, door: Door) -> Outcome {
        let login = state == State::Transaction;
        if state != State::Connection && door == Door::Login {
            self.begins_with(b"+OK Hello there.\r\n")?;
        }
        if login && door == Door::Login {
            self.send(b"USER alice\r\n")?;
            self.begins_with(b"+OK Password required.\r\n")?;
            self.send(b"PASS secret\r\n")?;
        }
        if login { self.begins_with(b"+OK logged in.\r\n") } else { Ok(()) }
    }

    fn step(&mut self, step: &Step, stage: &Stage<'_>) -> Outcome {
        match &step.act {
            // Where Courier has closed earlier than we do, the rest is not said.
            Act::Send(_) | Act::Answer(_) | Act::Finish if self.ended => Ok(()),
            Act::Send(octets) => self.send(octets),
            Act::Answer(answer) => self.send(&answer.to(&self.last_line)?),
            Act::Finish => {
                self.transcript.push_str("C: <closed>\n");
                Ok(self.wire.finish()?)
            }
            Act::Meanwhile(change) => {
                let (maildir, owner) = stage.maildir.ok_or("there is no disk to change")?;
                change.apply(maildir, owner)
            }
            Act::Wire(run) if !self.ended => self.answers(run, stage.side),
            Act::Wire(_) | Act::Disk(_) | Act::Log(_) => Ok(()),
        }
    }

    fn answers(&mut self, run: &Expected<Answer>, side: Side) -> Outcome {
        for (index, answer) in run.of(side).iter().enumerate() {
            let received = self.line()?;
            let fits = |answer: &Answer| match answer {
                Answer::Line(pattern) => pattern.fits(&received),
                Answer::Closed => received.is_empty(),
            };
            if !fits(answer) {
                let ours = side == Side::Courier && run.differs();
                let gone = ours && run.of(Side::Ours).get(index).is_some_and(fits);
                let hint = if gone { ": the difference is gone, it is what we say" } else { "" };
                return Err(format!("not what the dialogue says{hint}").into());
            }
        }
        Ok(())
    }

    fn begins_with(&mut self, wanted: &[u8]) -> Outcome {
        let received = self.line()?;
        if received == wanted { Ok(()) } else { Err("the session did not begin as usual".into()) }
    }

    /// The end of the session, after which nothing may be left to read.
    fn close(&mut self) -> Outcome {
        if !self.ended {
            self.wire.finish()?;
            if !self.line()?.is_empty() {
                return Err("the server says more than the dialogue".into());
            }
        }
        Ok(())
    }

    fn send(&mut self, octets: &[u8]) -> Outcome {
        writeln!(self.transcript, "C: {}", shown(octets))?;
        Ok(self.wire.send(octets)?)
    }

    /// The next line with its end; less than a line, or nothing, only if the
    /// server has closed.
    fn line(&mut self) -> Outcome<Vec<u8>> {
        loop {
            let end = self.received.iter().position(|&octet| octet == b'\n').map(|last| last + 1);
            if let Some(end) = end.or(self.ended.then_some(self.received.len())) {
                let line: Vec<u8> = self.received.drain(..end).collect();
                let shown = if line.is_empty() { "<closed>".to_owned() } else { shown(&line) };
                writeln!(self.transcript, "S: {shown}")?;
                self.last_line.clone_from(&line);
                return Ok(line);
            }
            let octets = self.wire.receive().inspect_err(|error| {
                let rest = printable(&self.received);
                self.transcript.push_str(&format!("S: {rest} <{error}>\n"));
            })?;
            self.ended = octets.is_empty();
            self.received.extend(octets);
        }
    }
}

/// What a step says about disk and log.
fn check(step: &Step, stage: &Stage<'_>) -> Outcome {
    match (&step.act, stage.maildir, stage.log) {
        (Act::Disk(run), Some((maildir, _)), _) => {
            run.of(stage.side).iter().try_for_each(|remains| remains.check(maildir))
        }
        (Act::Log(run), _, Some(log)) => {
            in_order(&without_stls(fs::read(log)?, stage.tls), run.of(stage.side))
        }
        _ => Ok(()),
    }
}

/// A log, whose lines about sessions end in `, stls=1` if they were inside TLS,
/// without these words.
fn without_stls(log: Vec<u8>, tls: bool) -> Vec<u8> {
    const WORDS: &[u8] = b", stls=1";
    let lines = log.split(|&octet| octet == b'\n');
    let stripped = lines.map(|line| if tls { line.strip_suffix(WORDS).unwrap_or(line) } else { line });
    stripped.collect::<Vec<_>>().join(&b'\n')
}

/// Whether a line for each pattern is in `log`, in this order.
fn in_order(log: &[u8], patterns: &[Pattern]) -> Outcome {
    let mut lines = log.split(|&octet| octet == b'\n');
    let missing = patterns.iter().position(|pattern| !lines.any(|line| pattern.fits(line)));
    missing.map_or(Ok(()), |index| Err(Fault::from(format!("log line {} is missing", index + 1))))
}

/// Octets of one packet or line as a dialogue would show them, but not very
/// long ones.
fn shown(octets: &[u8]) -> String {
    const LONG: usize = 500;
    let octets = octets.strip_suffix(b"\r\n").unwrap_or(octets);
    match octets.len() {
        0..=LONG => printable(octets),
        length => format!("{} … ({length} octets)", printable(&octets[..LONG])),
    }
}

#[cfg(test)]
mod tests {
    use super::{Door, Stage, play};
    use crate::dialogue::{Side, read};
    use crate::wire::Wire;
    use std::io;

    /// A server that says the same whatever it hears.
    struct Parrot(Vec<&'static [u8]>);

    impl Wire for Parrot {
        fn send(&mut self, _octets: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn receive(&mut self) -> io::Result<Vec<u8>> {
            Ok(if self.0.is_empty() { Vec::new() } else { self.0.remove(0).to_vec() })
        }
    }

    fn verdict(side: Side, said: &[&'static [u8]]) -> Result<(), String> {
        let text = "# .\nstate: transaction\nC: NOOP\nS: +OK ours\nCourier, ledger 1: +OK theirs\n";
        let stage = Stage { side, door: Door::Maildrop, maildir: None, log: None, tls: false };
        let dialogue = read("d", text).unwrap();
        play(&dialogue, &mut Parrot(said.to_vec()), &stage).map_err(|fault| fault.to_string())
    }

    #[test]
    fn lines_are_compared_however_they_are_cut() {
        assert_eq!(verdict(Side::Ours, &[b"+OK logg", b"ed in.\r\n+OK o", b"urs\r\n"]), Ok(()));
        assert_eq!(verdict(Side::Courier, &[b"+OK logged in.\r\n+OK theirs\r\n"]), Ok(()));
    }

    #[test]
    fn another_line_end_is_another_answer() {
        assert!(verdict(Side::Ours, &[b"+OK logged in.\r\n+OK ours\n"]).is_err());
        assert!(verdict(Side::Ours, &[b"+OK logged in.\r\n+OK ours"]).is_err());
    }

    #[test]
    fn a_difference_that_is_gone_is_reported_as_such() {
        let fault = verdict(Side::Courier, &[b"+OK logged in.\r\n+OK ours\r\n"]).unwrap_err();
        assert!(fault.contains("d: line 4: not what the dialogue says: the difference is gone"), "{fault}");
    }

    #[test]
    fn saying_more_is_not_the_same() {
        let fault = verdict(Side::Ours, &[b"+OK logged in.\r\n+OK ours\r\n+OK more\r\n"]).unwrap_err();
        assert!(fault.contains("more than the dialogue") && fault.contains("S: +OK more"), "{fault}");
    }
}
