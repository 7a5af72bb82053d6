//! One session: lines in, replies out, until it ends. It never waits: whoever
//! runs it waits for what it asks for, and then calls again. So a thread can
//! serve one session, or few threads thousands.
//!
//! ```text
//!   new ──> go_on ──> Wait::ForLine ──> line_may_have_come ──> …
//!                     Wait::ForRoom ──> go_on ──> …
//!                     (its deadline) ──> time_is_up ──> Over ──> end
//! ```

use std::mem;
use std::time::Instant;

use authlib::printable::reason;
use pop3::reply;
use pop3::{COMMAND_LIMIT, LineReader, Retrieval, Transaction, TransactionAction as Action};

use super::adapter::Listing;
use super::client::{Arrived, Client, Replies};
use super::retrieve::{self, Progress, Sending};
use super::settings::Settings;
use super::unseen::Unseen;
use super::update;
use crate::log::{self, Counts, Ending};

/// Replies are gathered as long as the client has commands waiting, but not
/// beyond so many octets: a client looks at what it has got while we go on. With
/// twice as many it waits longer than fewer system calls save.
const GATHER: usize = 32 * 1024;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// For the client to say something.
    ForLine,
    /// For the client to take what it has asked for.
    ForRoom,
}

/// That a session is over, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over(Ending);

/// What a session is at.
enum State {
    /// Answering commands.
    Commands,
    /// Sending a listing.
    Listing(pop3::Listing),
    /// Sending a message.
    Message(Box<Sending>),
    /// QUIT was said. What was answered before goes out first, so that a client
    /// that has gone meanwhile has deleted nothing.
    Quit,
    /// Sending the last replies.
    Farewell(Ending),
}

/// A session and all that it needs.
pub(crate) struct Session {
    state: State,
    /// There until UPDATE takes it.
    transaction: Option<Transaction<Listing>>,
    reader: LineReader,
    arrived: Arrived,
    replies: Replies,
    unseen: Unseen,
    settings: Settings,
    counts: Counts,
    started: Instant,
    /// When the autologout timer fires.
    deadline: Instant,
    /// Whether the timer is to begin again: the client has said or taken
    /// something.
    is_lively: bool,
}

impl Session {
    /// A session of a login that began at `started`. Its first reply, that the
    /// client is logged in, goes out with [`Session::go_on`].
    pub(super) fn new(transaction: Transaction<Listing>, settings: Settings, started: Instant) -> Self {
        let mut replies = Replies::default();
        reply::put(reply::LOGGED_IN, &mut replies.out);
        Session {
            state: State::Commands,
            transaction: Some(transaction),
            reader: LineReader::new(COMMAND_LIMIT),
            arrived: Arrived::default(),
            replies,
            unseen: Unseen::default(),
            deadline: Instant::now() + settings.autologout,
            settings,
            counts: Counts::default(),
            started,
            is_lively: false,
        }
    }

    /// The same, with what the client has said behind its login already.
    pub(crate) fn with_arrived(mut self, octets: Vec<u8>) -> Self {
        self.arrived = Arrived::from(octets);
        self
    }

    /// Takes what the client has said, if it has, and goes on.
    ///
    /// # Errors
    /// The session is over.
    pub(crate) fn line_may_have_come(&mut self, client: &impl Client) -> Result<Wait, Over> {
        match self.arrived.take(client) {
            Ok(Some(0)) => Err(Over(Ending::Disconnected)),
            Ok(_) => self.go_on(client),
            Err(error) => {
                log::error(&format_args!("reading from the client: {}", reason(&error)));
                Err(Over(Ending::Disconnected))
            }
        }
    }

    /// Does everything that can be done without waiting.
    ///
    /// # Errors
    /// The session is over.
    pub(crate) fn go_on(&mut self, client: &impl Client) -> Result<Wait, Over> {
        let wait = self.until_it_waits(client)?;
        if mem::take(&mut self.is_lively) {
            self.deadline = Instant::now() + self.settings.autologout;
        }
        Ok(wait)
    }

    fn until_it_waits(&mut self, client: &impl Client) -> Result<Wait, Over> {
        self.replies.begin();
        loop {
            if self.replies.waiting() >= GATHER && !self.send(client)? {
                return Ok(Wait::ForRoom);
            }
            if self.work() {
                continue;
            }
            if !self.send(client)? {
                return Ok(Wait::ForRoom);
            }
            match self.state {
                State::Commands | State::Listing(_) | State::Message(_) => {
                    self.arrived.rest();
                    self.replies.rest();
                    return Ok(Wait::ForLine);
                }
                State::Quit => self.update(),
                State::Farewell(ending) => {
                    client.forget_arrived();
                    return Err(Over(ending));
                }
            }
        }
    }

    /// When the client has been silent, or has taken nothing, for too long.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The [`deadline`](Session::deadline) has passed; nothing is deleted (RFC
    /// 1939 section 3).
    pub(crate) fn time_is_up(&self) -> Over {
        self.over(Ending::Timeout)
    }

    /// The client cannot even be waited for.
    pub(crate) fn gone(&self) -> Over {
        self.over(Ending::Disconnected)
    }

    /// Logs the end; whether the session ended as sessions may.
    pub(crate) fn end(mut self, Over(ending): Over) -> bool {
        if let Some(transaction) = &mut self.transaction {
            self.unseen.flag_all(transaction);
        }
        let counts = Counts { sent: self.replies.sent(), ..self.counts };
        self.settings.session.ended(ending, &counts, self.started.elapsed());
        ending != Ending::IoError
    }

    /// Answers a command or goes on with a message; whether there was anything
    /// to do.
    fn work(&mut self) -> bool {
        match mem::replace(&mut self.state, State::Commands) {
            State::Commands => self.command(),
            State::Listing(listing) => {
                self.list_more(listing);
                true
            }
            State::Message(sending) => {
                let progress = sending.go_on(&mut self.replies.out);
                self.came_to(progress);
                true
            }
            last @ (State::Quit | State::Farewell(_)) => {
                self.state = last;
                false
            }
        }
    }

    fn command(&mut self) -> bool {
        let (line, used) = self.arrived.line(&mut self.reader);
        self.counts.rcvd += used as u64;
        let (Some(line), Some(transaction)) = (line, &mut self.transaction) else {
            return false;
        };
        let action = transaction.line(&line, &mut self.replies.out);
        self.is_lively = true;
        self.unseen.flag(transaction);
        match action {
            Action::Continue => {}
            Action::List(listing) => self.state = State::Listing(listing),
            Action::Retrieve(retrieval) => self.retrieve(retrieval),
            Action::Update => self.state = State::Quit,
            Action::Drop => self.state = State::Farewell(Ending::Disconnected),
        }
        true
    }

    /// Begins the answer to RETR or TOP.
    fn retrieve(&mut self, retrieval: Retrieval) {
        let Some(transaction) = &mut self.transaction else { return };
        match retrieve::begin(transaction, retrieval, &mut self.replies.out) {
            Ok(progress) => self.came_to(progress),
            Err(reply) => reply::put(reply, &mut self.replies.out),
        }
    }

    fn list_more(&mut self, mut listing: pop3::Listing) {
        let Some(transaction) = &self.transaction else { return };
        if !transaction.list(&mut listing, GATHER, &mut self.replies.out) {
            self.state = State::Listing(listing);
        }
    }

    /// Notes how far the answer to RETR or TOP has got.
    fn came_to(&mut self, progress: Progress) {
        match progress {
            Progress::More(sending) => self.state = State::Message(sending),
            Progress::Done(retrieval, sent) if retrieval.top.is_some() => self.counts.top += sent.taken,
            Progress::Done(retrieval, sent) => {
                self.counts.retr += sent.taken;
                self.unseen.answered(retrieval.message);
            }
            // What has been read goes out, without a termination octet: the
            // client must not take it for the whole message (ledger 216).
            Progress::Broken => self.state = State::Farewell(Ending::IoError),
        }
    }

    /// Sends what waits; whether everything has gone.
    fn send(&mut self, client: &impl Client) -> Result<bool, Over> {
        let before = self.replies.sent();
        let all_gone = self.replies.send(client).map_err(|_| self.gone())?;
        self.is_lively |= self.replies.sent() > before;
        if all_gone {
            self.unseen.all_gone();
        }
        Ok(all_gone)
    }

    /// UPDATE: deletes, and answers QUIT.
    fn update(&mut self) {
        if let Some(mut transaction) = self.transaction.take() {
            self.unseen.flag_what_stays(&mut transaction);
            let (listing, update) = transaction.into_update();
            reply::put(update::spend(listing, update, &self.settings), &mut self.replies.out);
        }
        self.state = State::Farewell(Ending::Logout);
    }

    /// An end from outside. Behind UPDATE it changes nothing.
    fn over(&self, ending: Ending) -> Over {
        match self.state {
            State::Farewell(ending) => Over(ending),
            State::Commands | State::Listing(_) | State::Message(_) | State::Quit => Over(ending),
        }
    }
}
