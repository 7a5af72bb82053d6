//! The conversation before login.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use authlib::record::Refused;
use authlib::sasl::{Channel, Exchange, Mechanism, Step};
use authlib::{Account, Record};
use pop3::reply::{self, Reply};
use pop3::{
    Authorization, AuthorizationAction as Action, CREDENTIAL_LIMIT, Credential, LineReader, Response,
    Undecodable,
};

use super::PATIENCE;
use super::attempt::Attempt;
use super::certificate;
use super::clock::{AfterFailure, Clock};
use super::enter::{self, Answer};
use super::settings::{self, Form};
use super::stls;
use super::trace::Trace;
use crate::chain::Handover;
use crate::connection::{Connection, Read};
use crate::log::{self, Peer};

/// A connection before login, and all that it needs.
pub(super) struct Session<'c> {
    pub connection: &'c Connection,
    pub authorization: Authorization,
    pub clock: Clock,
    pub peer: Peer,
    pub trace: Trace,
    pub form: Form,
    pub handover: Handover,
    /// The program to speak TLS, where STLS is offered.
    pub couriertls: Option<PathBuf>,
    /// A SASL exchange that the client's next line goes on with.
    pub exchange: Option<(Mechanism, Exchange)>,
    /// Whom that exchange has accepted already.
    pub accepted: Option<Account>,
    /// The name in the client's certificate, once TLS is on.
    pub certificate_name: Option<Vec<u8>>,
    /// Replies that have not been sent.
    pub out: Vec<u8>,
}

/// Whether the conversation goes on, or the process ends with this status.
pub(super) type Next = Result<(), ExitCode>;

impl Session<'_> {
    /// Greets the client, or says `greeting`, which may be that `attempt` has
    /// failed, and goes on until this process ends, or becomes another program.
    pub(super) fn run(mut self, greeting: Option<Reply>, attempt: Option<&Attempt>) -> ExitCode {
        match greeting {
            Some(sentence) => self.say_to(attempt, sentence),
            None => self.authorization.greet(&mut self.out),
        }
        let mut reader = LineReader::new(CREDENTIAL_LIMIT);
        loop {
            if let Err(status) = self.step(&mut reader) {
                self.connection.say_farewell(&mut self.out, PATIENCE);
                log::disconnected(&self.peer);
                return status;
            }
        }
    }

    /// Reads a line and does what it asks for.
    fn step(&mut self, reader: &mut LineReader) -> Next {
        let Session { connection, authorization, clock, trace, out, .. } = self;
        // Replies to pipelined commands leave together.
        if !connection.has_line_waiting() && connection.send(out, PATIENCE).is_err() {
            return Err(ExitCode::SUCCESS);
        }
        let read = connection.read_line_only(reader, clock.deadline(), |line| {
            trace.line(line, authorization.in_exchange());
            authorization.line(line, out)
        });
        match read {
            Ok(Read::Had(action)) => self.act(action),
            Ok(Read::End) => Err(ExitCode::SUCCESS),
            Ok(Read::TimedOut) => Err(ExitCode::FAILURE),
            Err(error) => {
                log::error(&format_args!("reading from the client: {error}"));
                Err(ExitCode::FAILURE)
            }
        }
    }

    fn act(&mut self, action: Action) -> Next {
        let exchange = self.exchange.take();
        match (action, exchange) {
            (Action::Continue, None) => Ok(()),
            (Action::Login { user, password }, _) => self.log_in(&user, &password),
            (Action::Apop { user, digest }, _) => self.log_in_by_digest(&user, &digest),
            (Action::Authenticate { mechanism, initial }, _) => self.authenticate(&mechanism, initial),
            (Action::Respond(response), Some((mechanism, mut exchange))) => {
                let step = match response {
                    Ok(response) => exchange.respond(response.expose()),
                    Err(Undecodable) => exchange.undecodable(),
                };
                self.exchange_goes_on(mechanism, exchange, step)
            }
            // That it has failed is in the log already.
            (Action::Aborted | Action::Continue, Some((_, exchange))) if exchange.is_refused() => Ok(()),
            (Action::Aborted | Action::Respond(_) | Action::Continue, exchange) => {
                let mechanism = exchange.map_or("", |(mechanism, _)| mechanism.name());
                log::method_failed(mechanism, &self.peer);
                Ok(())
            }
            (Action::StartTls, _) => self.start_tls(),
            (Action::Quit, _) => {
                log::quit_before_login(&self.peer);
                Err(ExitCode::SUCCESS)
            }
            (Action::Drop, _) => Err(ExitCode::SUCCESS),
        }
    }

    fn log_in(&mut self, user: &[u8], password: &Credential) -> Next {
        self.trace.user(user);
        let record = settings::login_record(user, password.expose());
        self.enter(record, &Attempt::Pass(user.to_vec()))
    }

    fn log_in_by_digest(&mut self, user: &[u8], digest: &Credential) -> Next {
        self.trace.user(user);
        let attempt = Attempt::Apop(user.to_vec());
        match settings::apop_record(self.authorization.timestamp(), user, digest.expose()) {
            Some(record) => self.enter(record, &attempt),
            None => self.refuse(&attempt),
        }
    }

    fn authenticate(&mut self, name: &str, initial: Option<Response>) -> Next {
        let Some(mechanism) = Mechanism::from_name(name.as_bytes()) else {
            return self.refuse(&Attempt::Auth(name.to_owned()));
        };
        if mechanism.needs_tls() && !self.authorization.tls() && !settings::token_in_clear() {
            reply::put(reply::TLS_REQUIRED, &mut self.out);
            return Ok(());
        }
        if !self.form.can_serve(mechanism) {
            return self.cannot_serve(mechanism);
        }
        let mut exchange = match Exchange::new(mechanism, &settings::host_name()) {
            Ok(exchange) => exchange.over(self.channel()),
            Err(error) => {
                log::error(&format_args!("random octets: {error}"));
                return self.cannot_tell();
            }
        };
        let step = match initial {
            None => exchange.start(None),
            Some(Ok(response)) => exchange.start(Some(response.expose())),
            Some(Err(Undecodable)) => exchange.undecodable(),
        };
        self.exchange_goes_on(mechanism, exchange, step)
    }

    /// couriertls does not tell what binds an exchange to the channel, so there
    /// is nothing of that here (ledger 164).
    fn channel(&self) -> Channel {
        Channel { certificate_name: self.certificate_name.clone(), ..Channel::default() }
    }

    pub(super) fn attempt(mechanism: Mechanism) -> Attempt {
        Attempt::Auth(mechanism.name().to_owned())
    }

    pub(super) fn exchange_goes_on(&mut self, mechanism: Mechanism, exchange: Exchange, step: Step) -> Next {
        let attempt = Session::attempt(mechanism);
        match step {
            Step::Challenge(challenge) => {
                self.authorization.challenge(&challenge, &mut self.out);
                self.exchange = Some((mechanism, exchange));
                Ok(())
            }
            Step::Credentials { user, password } => {
                self.enter(settings::login_record(&user, password.expose()), &attempt)
            }
            Step::Proof(proof) => self.enter(settings::proof_record(proof), &attempt),
            Step::Token(bearer) => self.enter(settings::token_record(bearer), &attempt),
            Step::Vouched { user } => self.enter(settings::external_record(&user), &attempt),
            Step::Salt(wanted) => self.name_salt(mechanism, exchange, wanted),
            Step::Scram(proof) => self.verify(mechanism, exchange, proof),
            Step::Accepted => self.enter_accepted(mechanism),
            Step::Failed => self.refuse(&attempt),
            Step::Refused => {
                reply::put(reply::AUTHENTICATION_FAILED, &mut self.out);
                Ok(())
            }
            Step::Aborted => {
                let action = self.authorization.abort_exchange(&mut self.out);
                log::method_failed(mechanism.name(), &self.peer);
                if action == Action::Drop { Err(ExitCode::SUCCESS) } else { Ok(()) }
            }
        }
    }

    /// Has the credentials checked. If they are good this process becomes
    /// another program and does not come back.
    fn enter(&mut self, record: Result<Record, Refused>, attempt: &Attempt) -> Next {
        // What cannot be put into a record, a line end in the name for instance,
        // is nobody's password (ledger 119).
        let Ok(record) = record else {
            return self.refuse(attempt);
        };
        self.hand_over()?;
        attempt.note(&mut self.handover);
        match enter::try_to(&self.form, &mut self.handover, &record, &self.peer) {
            Answer::No => self.refuse(attempt),
            Answer::CannotTell => self.cannot_tell(),
        }
    }

    /// Before another program goes on: nothing may be left unsaid, on this
    /// side.
    pub(super) fn hand_over(&mut self) -> Next {
        self.flush()?;
        self.handover.set("UTF8", if self.authorization.utf8() { "1" } else { "0" });
        Ok(())
    }

    /// The mechanism cannot be had here, whoever asks: no failed login.
    pub(super) fn cannot_serve(&mut self, mechanism: Mechanism) -> Next {
        let action = self.authorization.cannot_serve(&mut self.out);
        log::method_failed(mechanism.name(), &self.peer);
        if action == Action::Drop { Err(ExitCode::SUCCESS) } else { Ok(()) }
    }

    pub(super) fn cannot_tell(&mut self) -> Next {
        self.end_with(reply::TEMPORARY_PROBLEM)
    }

    fn end_with(&mut self, sentence: Reply) -> Next {
        reply::put(sentence, &mut self.out);
        Err(ExitCode::FAILURE)
    }

    /// Logs the failure at once, and answers it later.
    pub(super) fn refuse(&mut self, attempt: &Attempt) -> Next {
        self.flush()?;
        let sentence = attempt.rejected(&self.peer);
        match self.clock.penalty() {
            AfterFailure::Again => {
                self.clock.note(&mut self.handover);
                self.say_to(Some(attempt), sentence);
                Ok(())
            }
            AfterFailure::Enough => self.end_with(reply::TOO_MANY_FAILURES),
            AfterFailure::TooLate => Err(ExitCode::FAILURE),
        }
    }

    /// Says `sentence`; to somebody whose attempt has failed by a mechanism that
    /// tells why, that first, and the sentence when it was heard (RFC 7628
    /// section 3.2.3).
    fn say_to(&mut self, attempt: Option<&Attempt>, sentence: Reply) {
        let mechanism = attempt.and_then(Attempt::mechanism);
        match mechanism.and_then(|known| Some((known, Exchange::refused(known, &settings::hints())?))) {
            Some((mechanism, (exchange, challenge))) => {
                self.authorization.challenge(&challenge, &mut self.out);
                self.exchange = Some((mechanism, exchange));
            }
            None => reply::put(sentence, &mut self.out),
        }
    }

    /// Answers STLS, and has couriertls shake hands. Nothing that was said in
    /// clear survives (ledger 109, 115); if the handshake fails the connection
    /// ends (ledger 117).
    fn start_tls(&mut self) -> Next {
        let Some(program) = self.couriertls.take() else {
            return Err(ExitCode::FAILURE);
        };
        let thrown_away = self.connection.throw_away_arrived();
        self.flush()?;
        let printed = match thrown_away.and_then(|()| stls::start(&program, self.clock.deadline())) {
            Ok(printed) => printed,
            Err(error) => {
                log::line(format_args!("DEBUG: {}, STARTTLS failed: {error}", self.peer));
                return Err(ExitCode::FAILURE);
            }
        };
        for (name, value) in stls::ENVIRONMENT {
            self.handover.set(name, value);
        }
        self.authorization.tls_started();
        self.note_certificate(&printed);
        Ok(())
    }

    /// From here on the client may say EXTERNAL, if its certificate has a name.
    fn note_certificate(&mut self, printed: &[u8]) {
        let Some(field) = certificate::field() else { return };
        self.certificate_name = certificate::name_in(printed, &field);
        let variable = certificate::variable(&field);
        match &self.certificate_name {
            Some(name) => {
                self.handover.set(&variable, OsStr::from_bytes(name));
                self.authorization.announce(Mechanism::External.name());
            }
            // What was inherited is about another connection.
            None => self.handover.remove(&variable),
        }
    }

    pub(super) fn flush(&mut self) -> Next {
        self.connection.send(&mut self.out, PATIENCE).map_err(|_| ExitCode::SUCCESS)
    }
}
