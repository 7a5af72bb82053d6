//! Fetching messages, so many commands ahead, and comparing every octet.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::client::{Client, find_line};
use crate::mail::{Mail, NUMBER_ENDS, message, number, on_the_wire};

/// What has to come of each message of a maildrop.
#[derive(Debug)]
pub(crate) struct Messages(Vec<Vec<u8>>);

impl Messages {
    /// Makes them.
    pub(crate) fn of(mail: Mail) -> Messages {
        Messages((0..mail.count).map(|number| on_the_wire(&message(number, mail.octets))).collect())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The octets of the first one.
    pub(crate) fn wire(&self, number: usize) -> &[u8] {
        &self.0[number]
    }
}

/// What was fetched, all of it as it has to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) messages: usize,
    pub(crate) octets: u64,
    pub(crate) time: Duration,
}

/// What the next octets answer.
enum Awaited {
    /// The first line of the answer to RETR.
    Line,
    /// The message itself; which, and how much of it has come.
    Message(Option<usize>, usize),
    /// The line that answers DELE.
    Deleted,
}

/// A turn through the maildrop.
struct Turn<'m> {
    messages: &'m Messages,
    seen: Vec<bool>,
    awaited: Awaited,
    delete: bool,
    fetched: Fetched,
}

/// Fetches all messages, turn by turn, until `time` is over; with `ahead`
/// commands on their way.
///
/// # Errors
/// The server has gone, or a message is not what it has to be.
pub(crate) fn fetch_for(
    client: &mut Client,
    messages: &Messages,
    ahead: usize,
    time: Duration,
) -> Result<Fetched> {
    let begin = Instant::now();
    let mut all = Fetched::default();
    while begin.elapsed() < time {
        let turn = turn(client, messages, ahead, false, Some(begin + time))?;
        all.messages += turn.messages;
        all.octets += turn.octets;
    }
    all.time = begin.elapsed();
    Ok(all)
}

/// Fetches every message once and deletes it.
///
/// # Errors
/// As [`fetch_for`], or a message is not there or not deleted.
pub(crate) fn fetch_all(client: &mut Client, messages: &Messages, ahead: usize) -> Result<Fetched> {
    let begin = Instant::now();
    let fetched = turn(client, messages, ahead, true, None)?;
    ensure!(fetched.messages == messages.count(), "only {} messages have come", fetched.messages);
    Ok(Fetched { time: begin.elapsed(), ..fetched })
}

fn turn(
    client: &mut Client,
    messages: &Messages,
    ahead: usize,
    delete: bool,
    end: Option<Instant>,
) -> Result<Fetched> {
    client.fetches();
    let mut turn = Turn {
        messages,
        seen: vec![false; messages.count()],
        awaited: Awaited::Line,
        delete,
        fetched: Fetched::default(),
    };
    let mut asked = 0;
    loop {
        let late = end.is_some_and(|end| Instant::now() > end);
        let mut commands = String::new();
        while !late && asked < messages.count() && asked < turn.fetched.messages + ahead {
            asked += 1;
            commands.push_str(&format!("RETR {asked}\r\n"));
            if delete {
                commands.push_str(&format!("DELE {asked}\r\n"));
            }
        }
        if turn.fetched.messages == asked {
            return Ok(turn.fetched);
        }
        if !commands.is_empty() {
            client.say(commands.as_bytes())?;
        }
        ensure!(client.take_more()? > 0, "the server has gone");
        while let Some(used) = turn.take(client.arrived())? {
            client.uses(used);
        }
    }
}

impl Turn<'_> {
    /// Compares what has come; how many octets that was, if it was enough to be
    /// compared.
    fn take(&mut self, arrived: &[u8]) -> Result<Option<usize>> {
        match self.awaited {
            Awaited::Line | Awaited::Deleted => {
                let Some(at) = find_line(arrived) else { return Ok(None) };
                let line = &arrived[..at];
                ensure!(line.starts_with(b"+OK"), "{}", String::from_utf8_lossy(line).trim_end());
                self.awaited = match self.awaited {
                    Awaited::Line => Awaited::Message(None, 0),
                    _ => self.done(),
                };
                Ok(Some(at))
            }
            Awaited::Message(None, _) if arrived.len() < NUMBER_ENDS => Ok(None),
            Awaited::Message(None, _) => {
                let number = number(arrived).filter(|number| *number < self.messages.count());
                let number = number.context("a message is none of ours")?;
                ensure!(!self.seen[number], "message {number} has come twice");
                self.seen[number] = true;
                self.awaited = Awaited::Message(Some(number), 0);
                Ok(Some(0))
            }
            Awaited::Message(Some(number), come) => {
                let wanted = &self.messages.wire(number)[come..];
                let octets = wanted.len().min(arrived.len());
                ensure!(wanted[..octets] == arrived[..octets], "message {number} is altered");
                if octets == 0 {
                    return Ok(None);
                }
                self.awaited = Awaited::Message(Some(number), come + octets);
                if octets == wanted.len() {
                    self.fetched.octets += (come + octets) as u64;
                    self.awaited = if self.delete { Awaited::Deleted } else { self.done() };
                }
                Ok(Some(octets))
            }
        }
    }

    fn done(&mut self) -> Awaited {
        self.fetched.messages += 1;
        Awaited::Line
    }
}
