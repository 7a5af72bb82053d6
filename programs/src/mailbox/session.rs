//! One session: lines in, replies out, until it ends.

use std::process::ExitCode;
use std::time::Instant;

use authlib::printable::reason;
use pop3::reply;
use pop3::{COMMAND_LIMIT, LineReader, Retrieval, Transaction, TransactionAction as Action};

use super::AUTOLOGOUT;
use super::adapter::Listing;
use super::retrieve::{self, Failure};
use super::settings::Settings;
use super::update;
use crate::connection::{Connection, NotSent, Read, Unread};
use crate::log::{self, Counts, Ending};

/// Replies are gathered as long as the client has commands waiting, but not
/// beyond so many octets.
pub(super) const GATHER: usize = 64 * 1024;

/// A session and all that it needs.
pub(super) struct Session<'c> {
    client: Client<'c>,
    transaction: Transaction<Listing>,
    settings: Settings,
    counts: Counts,
    started: Instant,
    /// Messages sent whole whose S flag waits until the client has them.
    unseen: Vec<usize>,
}

/// Replies on their way to the client.
pub(super) struct Client<'c> {
    connection: &'c Connection,
    /// Replies that have not been sent.
    pub out: Vec<u8>,
    /// Octets sent so far.
    sent: u64,
}

impl Client<'_> {
    /// Sends all replies.
    pub(super) fn flush(&mut self) -> Result<(), Ending> {
        let octets = self.out.len() as u64;
        self.connection.send(&mut self.out, AUTOLOGOUT).map_err(|error| match error {
            NotSent::Gone(_) => Ending::Disconnected,
            NotSent::TimedOut => Ending::Timeout,
        })?;
        self.sent += octets;
        Ok(())
    }

    /// Sends all replies, the last ones.
    fn say_farewell(&mut self) {
        self.sent += self.out.len() as u64;
        self.connection.say_farewell(&mut self.out, AUTOLOGOUT);
    }

    /// Sends all replies if there are many.
    pub(super) fn flush_if_much(&mut self) -> Result<(), Ending> {
        if self.out.len() >= GATHER { self.flush() } else { Ok(()) }
    }
}

impl<'c> Session<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        transaction: Transaction<Listing>,
        settings: Settings,
        started: Instant,
    ) -> Self {
        let client = Client { connection, out: Vec::new(), sent: 0 };
        Session { client, transaction, settings, counts: Counts::default(), started, unseen: Vec::new() }
    }

    /// Serves the client until the session ends.
    pub(super) fn run(mut self) -> ExitCode {
        reply::put(reply::LOGGED_IN, &mut self.client.out);
        match self.serve() {
            Err(ending) => self.end(ending),
            Ok(()) => self.update(),
        }
    }

    /// Serves until QUIT.
    fn serve(&mut self) -> Result<(), Ending> {
        let mut reader = LineReader::new(COMMAND_LIMIT);
        let mut unread = Unread::new();
        let mut deadline = Instant::now() + AUTOLOGOUT;
        loop {
            let mut rest = unread.rest();
            let available = rest.len();
            let line = reader.take(&mut rest);
            let used = available - rest.len();
            self.counts.rcvd += used as u64;
            let Some(line) = line else {
                unread.consume(used);
                self.flush()?;
                self.fill(&mut unread, deadline)?;
                continue;
            };
            let action = self.transaction.line(&line, &mut self.client.out);
            unread.consume(used);
            deadline = Instant::now() + AUTOLOGOUT;
            match action {
                Action::Continue => self.client.flush_if_much()?,
                Action::Retrieve(retrieval) => self.retrieve(retrieval)?,
                Action::Update => return Ok(()),
                Action::Drop => {
                    self.client.say_farewell();
                    return Err(Ending::Disconnected);
                }
            }
        }
    }

    fn fill(&self, unread: &mut Unread, deadline: Instant) -> Result<(), Ending> {
        match self.client.connection.fill(unread, deadline) {
            Ok(Read::Had(())) => Ok(()),
            Ok(Read::TimedOut) => Err(Ending::Timeout),
            Ok(Read::End) => Err(Ending::Disconnected),
            Err(error) => {
                log::error(&format_args!("reading from the client: {}", reason(&error)));
                Err(Ending::Disconnected)
            }
        }
    }

    /// Answers RETR or TOP.
    fn retrieve(&mut self, retrieval: Retrieval) -> Result<(), Ending> {
        let place = retrieval.message.place();
        match retrieve::send(&mut self.transaction, retrieval, &mut self.client) {
            Ok(sent) if retrieval.top.is_some() => self.counts.top += sent.taken,
            Ok(sent) => {
                self.counts.retr += sent.taken;
                self.unseen.push(place);
            }
            Err(Failure::NotBegun(reply)) => reply::put(reply, &mut self.client.out),
            Err(Failure::Client(ending)) => return Err(ending),
            Err(Failure::File) => {
                // What has been read goes out, without a termination octet: the
                // client must not take it for the whole message (ledger 216).
                self.client.flush()?;
                return Err(Ending::IoError);
            }
        }
        self.client.flush_if_much()
    }

    /// Sends all replies, and then marks as seen what the client has got whole.
    fn flush(&mut self) -> Result<(), Ending> {
        self.client.flush()?;
        self.mark_seen();
        Ok(())
    }

    fn mark_seen(&mut self) {
        for place in std::mem::take(&mut self.unseen) {
            // The flag is a courtesy to other programs: without it nothing is lost.
            let maildrop = &mut self.transaction.maildrop_mut().0;
            if let Some(place) = maildrop.place(place) {
                let _ = maildrop.mark_seen(place);
            }
        }
    }

    /// UPDATE: deletes, answers, ends. Replies to earlier commands go first, so
    /// that a client that has gone meanwhile has deleted nothing.
    fn update(mut self) -> ExitCode {
        if let Err(ending) = self.flush() {
            return self.end(ending);
        }
        let Session { mut client, transaction, settings, counts, started, .. } = self;
        let (listing, update) = transaction.into_update();
        let reply = update::spend(listing, update, &settings);
        reply::put(reply, &mut client.out);
        client.say_farewell();
        settings.session.ended(Ending::Logout, &Counts { sent: client.sent, ..counts }, started.elapsed());
        ExitCode::SUCCESS
    }

    fn end(self, ending: Ending) -> ExitCode {
        let counts = Counts { sent: self.client.sent, ..self.counts };
        self.settings.session.ended(ending, &counts, self.started.elapsed());
        ExitCode::from(u8::from(ending == Ending::IoError))
    }
}
