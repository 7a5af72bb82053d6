//! The login program's side of the conversation before login: what it says
//! waits here, by plain blocking calls.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use authlib::printable::reason;
use authlib::sasl::Channel;
use authlib::scram::Wanted;
use authlib::{Account, Record};
use pop3::reply::{self, Reply};
use pop3::{CREDENTIAL_LIMIT, LineReader};

use super::PATIENCE;
use super::attempt::Attempt;
use super::certificate;
use super::clock::{AfterFailure, Clock};
use super::conversation::{Close, Conversation, Next};
use super::enter::{self, Asked};
use super::referral::{self, Referred};
use super::settings::Form;
use super::stls;
use crate::chain::Handover;
use crate::connection::{Connection, Read};
use crate::log;
use crate::proxy;
use crate::service::proxy::Origin;
use crate::service::proxy::alone::Begun;

/// A connection before login, and all that it needs.
pub(super) struct Session<'c> {
    pub connection: &'c Connection,
    pub conversation: Conversation,
    pub clock: Clock,
    pub form: Form,
    pub handover: Handover,
    /// The program to speak TLS, where STLS is offered.
    pub couriertls: Option<PathBuf>,
    /// Whether sessions may be on other servers.
    pub proxy: Option<proxy::Settings>,
    /// Whom the conversation has accepted.
    pub accepted: Option<Box<Account>>,
    /// The session that the account has elsewhere.
    pub begun: Option<Begun>,
    pub stage: Stage,
    /// Replies that have not been sent.
    pub out: Vec<u8>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Somebody may log in.
    Open,
    /// Nobody may any more: this process is an account's user by now.
    Spent,
    /// Its session was elsewhere, and is over.
    Forwarded,
}

/// Whether the conversation goes on, or the process ends with this status.
type Ongoing = Result<(), ExitCode>;

impl Session<'_> {
    /// Greets the client, or says `greeting`, which may be that `attempt` has
    /// failed, and goes on until this process ends, or becomes another program.
    pub(super) fn run(mut self, greeting: Option<Reply>, attempt: Option<&Attempt>) -> ExitCode {
        match greeting {
            Some(sentence) => self.conversation.say_failed(attempt, sentence, &mut self.out),
            None => self.conversation.greet(&mut self.out),
        }
        let mut reader = LineReader::new(CREDENTIAL_LIMIT);
        loop {
            if let Err(status) = self.step(&mut reader) {
                if self.stage == Stage::Forwarded {
                    return status;
                }
                self.connection.say_farewell(&mut self.out, PATIENCE);
                log::disconnected(self.conversation.peer());
                return status;
            }
        }
    }

    /// Reads a line and does what it asks for.
    fn step(&mut self, reader: &mut LineReader) -> Ongoing {
        let Session { connection, conversation, clock, out, .. } = self;
        // Replies to pipelined commands leave together.
        if !connection.has_line_waiting() && connection.send(out, PATIENCE).is_err() {
            return Err(ExitCode::SUCCESS);
        }
        let read = connection.read_line_only(reader, clock.deadline(), |line| conversation.line(line, out));
        match read {
            Ok(Read::Had(next)) => self.obey(next),
            Ok(Read::End) => Err(ExitCode::SUCCESS),
            Ok(Read::TimedOut) => Err(ExitCode::FAILURE),
            Err(error) => {
                log::error(&format_args!("reading from the client: {}", reason(&error)));
                Err(ExitCode::FAILURE)
            }
        }
    }

    /// Does what the conversation wants, until it wants a line.
    fn obey(&mut self, mut next: Next) -> Ongoing {
        loop {
            next = match next {
                Next::Line => return Ok(()),
                Next::Ask(record) => self.ask(&record)?,
                Next::AskSalt(wanted) => self.ask_for_salt(&wanted)?,
                Next::Wait => return self.wait(),
                Next::Enter => return self.enter(),
                Next::StartTls => return self.start_tls(),
                Next::Close(Close::Quit | Close::Dropped) => return Err(ExitCode::SUCCESS),
                Next::Close(Close::CannotTell) => return Err(ExitCode::FAILURE),
            }
        }
    }

    /// Has the credentials checked; a chain checks them, and comes back in a
    /// process of its own.
    fn ask(&mut self, record: &Record) -> Result<Next, ExitCode> {
        self.hand_over()?;
        if let Some(attempt) = self.conversation.attempt() {
            attempt.note(&mut self.handover);
        }
        let asked = match &self.form {
            Form::Chain(words) => {
                enter::begin_chain(words, &self.handover, record);
                Asked::CannotTell
            }
            Form::Daemon { .. } => enter::ask(record, self.conversation.peer()),
        };
        Ok(match asked {
            Asked::Accepted(account) => self.refer(account)?,
            Asked::Rejected => self.conversation.rejected(),
            Asked::TooManyFailures => self.conversation.not_looked_at(&mut self.out),
            Asked::CannotTell => self.conversation.cannot_tell(&mut self.out),
        })
    }

    /// An account was accepted here; where its mail is, it has to be there too.
    fn refer(&mut self, account: Box<Account>) -> Result<Next, ExitCode> {
        let Some(settings) = &self.proxy else { return Ok(self.accept(account)) };
        let (peer, deadline) = (self.conversation.peer(), self.clock.deadline());
        let (ip, port) = (peer.ip().to_owned(), peer.port().to_owned());
        let authorization = self.conversation.authorization();
        let client = (Origin { ip, port, tls: authorization.tls() }, authorization.utf8());
        let referred = referral::refer(account, settings, client, deadline);
        if !matches!(referred, Referred::Here(_) | Referred::NoPassword) {
            self.stage = Stage::Spent;
        }
        Ok(match referred {
            Referred::Here(account) => self.accept(account),
            Referred::Begun(account, begun) => {
                self.begun = Some(begun);
                self.accept(account)
            }
            Referred::Disabled(sentence) => {
                reply::put(sentence, &mut self.out);
                return Err(ExitCode::FAILURE);
            }
            Referred::Rejected | Referred::NoPassword => self.conversation.rejected(),
            Referred::CannotTell => self.conversation.cannot_tell(&mut self.out),
        })
    }

    fn accept(&mut self, account: Box<Account>) -> Next {
        let signature = account.server_signature.clone();
        self.accepted = Some(account);
        self.conversation.accepted(signature.as_deref(), &mut self.out)
    }

    fn ask_for_salt(&mut self, wanted: &Wanted) -> Result<Next, ExitCode> {
        self.flush()?;
        let salt = enter::ask_for_salt(self.conversation.service(), wanted, self.conversation.peer());
        Ok(match salt {
            Ok(salt) => self.conversation.salt(salt.as_ref(), &mut self.out),
            Err(reason) => {
                log::authentication_error(&reason);
                self.conversation.cannot_tell(&mut self.out)
            }
        })
    }

    /// Becomes the next program, as the account's user, and does not come back;
    /// or passes a session on that is elsewhere, to its end.
    fn enter(&mut self) -> Ongoing {
        self.hand_over()?;
        if let (Some(begun), Some(account)) = (self.begun.take(), &self.accepted) {
            let tls = self.conversation.authorization().tls();
            let session = log::Session::new(&account.address, self.conversation.peer().clone(), tls);
            return self.pass_on(begun, session);
        }
        if let (Some(account), Form::Daemon { program, maildir }) = (self.accepted.take(), &self.form) {
            enter::enter(&account, program, maildir, &mut self.handover);
        }
        self.end_with(reply::TEMPORARY_PROBLEM)
    }

    fn pass_on(&mut self, begun: Begun, session: log::Session) -> Ongoing {
        let protocol = self.proxy.as_ref().map_or("POP3", |settings| &settings.protocol);
        let client = io::stdin().as_fd().try_clone_to_owned();
        self.stage = Stage::Forwarded;
        Err(match client.and_then(|client| begun.pass_on(client, session, protocol)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                log::error(&format_args!("passing a session on: {}", reason(&error)));
                ExitCode::FAILURE
            }
        })
    }

    /// Before another program goes on: nothing may be left unsaid, on this
    /// side.
    fn hand_over(&mut self) -> Ongoing {
        self.flush()?;
        let utf8 = if self.conversation.authorization().utf8() { "1" } else { "0" };
        self.handover.set("UTF8", utf8);
        Ok(())
    }

    /// Lets the client wait behind a failure, and tells it.
    fn wait(&mut self) -> Ongoing {
        self.flush()?;
        match self.clock.penalty() {
            AfterFailure::Again => {
                self.clock.note(&mut self.handover);
                self.conversation.told(&mut self.out);
                if self.stage == Stage::Open { Ok(()) } else { Err(ExitCode::SUCCESS) }
            }
            AfterFailure::Enough => self.end_with(reply::TOO_MANY_FAILURES),
            AfterFailure::TooLate => Err(ExitCode::FAILURE),
        }
    }

    /// Answers STLS, and has couriertls shake hands. Nothing that was said in
    /// clear survives (ledger 109, 115); if the handshake fails the connection
    /// ends (ledger 117).
    fn start_tls(&mut self) -> Ongoing {
        let Some(program) = self.couriertls.take() else {
            return Err(ExitCode::FAILURE);
        };
        let thrown_away = self.connection.throw_away_arrived();
        self.flush()?;
        let printed = match thrown_away.and_then(|()| stls::start(&program, self.clock.deadline())) {
            Ok(printed) => printed,
            Err(error) => {
                log::line(format_args!("DEBUG: {}, STARTTLS failed: {error}", self.conversation.peer()));
                return Err(ExitCode::FAILURE);
            }
        };
        for (name, value) in stls::ENVIRONMENT {
            self.handover.set(name, value);
        }
        let certificate_name = self.note_certificate(&printed);
        self.conversation.tls_started(channel(certificate_name));
        Ok(())
    }

    /// The name in the client's certificate, if the administrator says which
    /// field holds it: from here on the client may say EXTERNAL.
    fn note_certificate(&mut self, printed: &[u8]) -> Option<Vec<u8>> {
        let field = certificate::field()?;
        let name = certificate::name_in(printed, &field);
        let variable = certificate::variable(&field);
        match &name {
            Some(name) => self.handover.set(&variable, OsStr::from_bytes(name)),
            // What was inherited is about another connection.
            None => self.handover.remove(&variable),
        }
        name
    }

    fn end_with(&mut self, sentence: Reply) -> Ongoing {
        reply::put(sentence, &mut self.out);
        Err(ExitCode::FAILURE)
    }

    fn flush(&mut self) -> Ongoing {
        self.connection.send(&mut self.out, PATIENCE).map_err(|_| ExitCode::SUCCESS)
    }
}

/// couriertls does not tell what binds an exchange to the channel, so there is
/// nothing of that here (ledger 164).
pub(super) fn channel(certificate_name: Option<Vec<u8>>) -> Channel {
    Channel { certificate_name, ..Channel::default() }
}
