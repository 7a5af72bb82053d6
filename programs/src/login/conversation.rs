//! The conversation before login, without a wait and without a process of its
//! own: lines in, replies out, and what somebody else has to do in between.
//!
//! ```text
//!   line ──> Next::Line                     go on with the next line
//!            Next::Ask ──> accepted ──> Next::Enter, or a last challenge
//!                          rejected ──> Next::Wait ──> told ──> Next::Line
//!                          cannot_tell ──> Next::Close
//!            Next::AskSalt ──> salt
//!            Next::StartTls ──> tls_started
//! ```

use authlib::Record;
use authlib::printable::reason;
use authlib::record::Refused;
use authlib::sasl::{Channel, Exchange, Mechanism, Step};
use authlib::scram::{Salt, Wanted};
use pop3::reply::{self, Reply};
use pop3::{Authorization, AuthorizationAction as Action, Line, Response, Undecodable};

use super::attempt::Attempt;
use super::settings;
use super::trace::Trace;
use crate::log::{self, Peer};

/// What is to be done now. Replies are in `out` already.
#[derive(Debug)]
pub(crate) enum Next {
    /// Go on with the next line.
    Line,
    /// Have these credentials checked, then call [`Conversation::accepted`],
    /// [`rejected`](Conversation::rejected),
    /// [`not_looked_at`](Conversation::not_looked_at) or
    /// [`cannot_tell`](Conversation::cannot_tell).
    Ask(Record),
    /// Ask for this salt, then call [`Conversation::salt`] or
    /// [`cannot_tell`](Conversation::cannot_tell).
    AskSalt(Wanted),
    /// The client is who was accepted last: its session begins.
    Enter,
    /// A login has failed and is in the log. Let the client wait, then call
    /// [`Conversation::told`].
    Wait,
    /// `+OK` to STLS is in `out`. Throw away what has been read, shake hands,
    /// then call [`Conversation::tls_started`].
    StartTls,
    /// The conversation is over.
    Close(Close),
}

/// How a conversation ends without a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// As the client wished.
    Quit,
    /// It was sent away.
    Dropped,
    /// Nobody can tell whether its credentials are good, or has looked at them.
    CannotTell,
}

/// A conversation with one client.
pub(crate) struct Conversation {
    authorization: Authorization,
    /// Which mechanisms can be had here at all.
    can_serve: fn(Mechanism) -> bool,
    /// The service that modules are asked about.
    service: Vec<u8>,
    channel: Channel,
    peer: Peer,
    trace: Trace,
    /// A SASL exchange that the client's next line goes on with.
    exchange: Option<(Mechanism, Exchange)>,
    /// What has been asked, until it is answered and told.
    asked: Asked,
}

/// What somebody else was asked.
enum Asked {
    Nothing,
    /// About credentials.
    Credentials(Attempt),
    /// About the proof of an exchange that has one more step.
    Proof(Mechanism, Exchange),
    /// For a salt.
    Salt(Mechanism, Exchange),
    /// About what was wrong; the client has not been told yet.
    Failed(Attempt, Reply),
}

impl Conversation {
    /// A conversation with the client at `peer`, who has said nothing yet.
    pub(crate) fn new(
        authorization: Authorization,
        can_serve: fn(Mechanism) -> bool,
        service: Vec<u8>,
        peer: Peer,
    ) -> Self {
        Conversation {
            authorization,
            can_serve,
            service,
            channel: Channel::default(),
            trace: Trace::of(&peer),
            peer,
            exchange: None,
            asked: Asked::Nothing,
        }
    }

    /// The same over a channel that vouches for something.
    pub(crate) fn over(self, channel: Channel) -> Self {
        Conversation { channel, ..self }
    }

    /// The state of the protocol.
    pub(crate) fn authorization(&mut self) -> &mut Authorization {
        &mut self.authorization
    }

    /// The service that modules are asked about.
    pub(crate) fn service(&self) -> &[u8] {
        &self.service
    }

    /// Where the client is.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// By what command the client has tried what is being asked about.
    pub(crate) fn attempt(&self) -> Option<Attempt> {
        match &self.asked {
            Asked::Credentials(attempt) | Asked::Failed(attempt, _) => Some(attempt.clone()),
            Asked::Proof(mechanism, _) => Some(attempt(*mechanism)),
            Asked::Nothing | Asked::Salt(..) => None,
        }
    }

    /// Greets the client.
    pub(crate) fn greet(&mut self, out: &mut Vec<u8>) {
        log::connection(&self.peer);
        self.authorization.greet(out);
    }

    /// Takes a line of the client.
    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) -> Next {
        self.trace.line(line, self.authorization.in_exchange());
        let action = self.authorization.line(line, out);
        let exchange = self.exchange.take();
        match (action, exchange) {
            (Action::Continue, None) => Next::Line,
            (Action::Login { user, password }, _) => {
                self.trace.user(&user);
                self.ask(settings::login_record(&self.service, &user, password.expose()), Attempt::Pass(user))
            }
            (Action::Apop { user, digest }, _) => {
                self.trace.user(&user);
                match settings::apop_record(
                    &self.service,
                    self.authorization.timestamp(),
                    &user,
                    digest.expose(),
                ) {
                    Some(record) => self.ask(record, Attempt::Apop(user)),
                    None => self.fail(Attempt::Apop(user)),
                }
            }
            (Action::Authenticate { mechanism, initial }, _) => self.authenticate(&mechanism, initial, out),
            (Action::Respond(response), Some((mechanism, mut exchange))) => {
                let step = match response {
                    Ok(response) => exchange.respond(response.expose()),
                    Err(Undecodable) => exchange.undecodable(),
                };
                self.exchange_goes_on(mechanism, exchange, step, out)
            }
            // That it has failed is in the log already.
            (Action::Aborted | Action::Continue, Some((_, exchange))) if exchange.is_refused() => Next::Line,
            (Action::Aborted | Action::Respond(_) | Action::Continue, exchange) => {
                let mechanism = exchange.map_or("", |(mechanism, _)| mechanism.name());
                log::method_failed(mechanism, &self.peer);
                Next::Line
            }
            (Action::StartTls, _) => Next::StartTls,
            (Action::Quit, _) => {
                log::quit_before_login(&self.peer);
                Next::Close(Close::Quit)
            }
            (Action::Drop, _) => Next::Close(Close::Dropped),
        }
    }

    fn authenticate(&mut self, name: &str, initial: Option<Response>, out: &mut Vec<u8>) -> Next {
        let Some(mechanism) = Mechanism::from_name(name.as_bytes()) else {
            return self.fail(Attempt::Auth(name.to_owned()));
        };
        if mechanism.needs_tls() && !self.authorization.tls() && !settings::token_in_clear() {
            reply::put(reply::TLS_REQUIRED, out);
            return Next::Line;
        }
        if !self.can_be_had(mechanism) {
            return self.cannot_serve(mechanism, out);
        }
        let mut exchange = match Exchange::new(mechanism, &settings::host_name()) {
            Ok(exchange) => exchange.over(self.channel.clone()),
            Err(error) => {
                log::error(&format_args!("random octets: {}", reason(&error)));
                return self.cannot_tell(out);
            }
        };
        let step = match initial {
            None => exchange.start(None),
            Some(Ok(response)) => exchange.start(Some(response.expose())),
            Some(Err(Undecodable)) => exchange.undecodable(),
        };
        self.exchange_goes_on(mechanism, exchange, step, out)
    }

    /// Whether the mechanism can be had here, and over this channel.
    fn can_be_had(&self, mechanism: Mechanism) -> bool {
        let is_plus = matches!(mechanism, Mechanism::ScramPlus(_));
        (self.can_serve)(mechanism) && !(is_plus && self.channel.bindings.is_empty())
    }

    fn exchange_goes_on(
        &mut self,
        mechanism: Mechanism,
        exchange: Exchange,
        step: Step,
        out: &mut Vec<u8>,
    ) -> Next {
        let attempt = attempt(mechanism);
        match step {
            Step::Challenge(challenge) => {
                self.authorization.challenge(&challenge, out);
                self.exchange = Some((mechanism, exchange));
                Next::Line
            }
            Step::Credentials { user, password } => {
                self.ask(settings::login_record(&self.service, &user, password.expose()), attempt)
            }
            Step::Proof(proof) => self.ask(settings::proof_record(&self.service, proof), attempt),
            Step::Token(bearer) => self.ask(settings::token_record(&self.service, bearer), attempt),
            Step::Vouched { user } => self.ask(settings::external_record(&self.service, &user), attempt),
            Step::Salt(wanted) => {
                self.asked = Asked::Salt(mechanism, exchange);
                Next::AskSalt(settings::with_default_domain(wanted))
            }
            Step::Scram(proof) => match settings::scram_record(&self.service, proof) {
                Ok(record) => {
                    self.asked = Asked::Proof(mechanism, exchange);
                    Next::Ask(record)
                }
                Err(_) => self.fail(attempt),
            },
            Step::Accepted => Next::Enter,
            Step::Failed => self.fail(attempt),
            Step::Refused => {
                reply::put(reply::AUTHENTICATION_FAILED, out);
                Next::Line
            }
            Step::Aborted => {
                let action = self.authorization.abort_exchange(out);
                log::method_failed(mechanism.name(), &self.peer);
                after(&action)
            }
        }
    }

    /// What cannot be put into a record, a line end in the name for instance, is
    /// nobody's password (ledger 119).
    fn ask(&mut self, record: Result<Record, Refused>, attempt: Attempt) -> Next {
        match record {
            Ok(record) => {
                self.asked = Asked::Credentials(attempt);
                Next::Ask(record)
            }
            Err(_) => self.fail(attempt),
        }
    }

    /// The credentials are good. `signature` came with the answer.
    pub(crate) fn accepted(&mut self, signature: Option<&[u8]>, out: &mut Vec<u8>) -> Next {
        match (std::mem::replace(&mut self.asked, Asked::Nothing), signature) {
            (Asked::Credentials(_), _) => Next::Enter,
            (Asked::Proof(mechanism, mut exchange), Some(signature)) => {
                let step = exchange.signed(signature);
                self.exchange_goes_on(mechanism, exchange, step, out)
            }
            (Asked::Proof(..), None) => {
                log::error(&"authdaemond has accepted a proof and not signed it");
                self.cannot_tell(out)
            }
            (Asked::Nothing | Asked::Salt(..) | Asked::Failed(..), _) => self.cannot_tell(out),
        }
    }

    /// The credentials are not good.
    pub(crate) fn rejected(&mut self) -> Next {
        let attempt = self.attempt().unwrap_or_else(|| Attempt::Auth(String::new()));
        self.fail(attempt)
    }

    /// Nobody has looked at the credentials: too many others from there were not
    /// good (ledger 126).
    pub(crate) fn not_looked_at(&mut self, out: &mut Vec<u8>) -> Next {
        if let Some(attempt) = self.attempt() {
            let _sentence_of_those_who_were = attempt.rejected(&self.peer);
        }
        reply::put(reply::TOO_MANY_FAILURES_BEFORE, out);
        Next::Close(Close::CannotTell)
    }

    /// Nobody can tell; why is for whoever has asked to log.
    pub(crate) fn cannot_tell(&mut self, out: &mut Vec<u8>) -> Next {
        reply::put(reply::TEMPORARY_PROBLEM, out);
        Next::Close(Close::CannotTell)
    }

    /// The salt that was asked for; `None` if whoever was asked knows nothing of
    /// such things.
    pub(crate) fn salt(&mut self, salt: Option<&Salt>, out: &mut Vec<u8>) -> Next {
        let Asked::Salt(mechanism, mut exchange) = std::mem::replace(&mut self.asked, Asked::Nothing) else {
            return self.cannot_tell(out);
        };
        match salt {
            Some(salt) => {
                let step = exchange.salt(salt);
                self.exchange_goes_on(mechanism, exchange, step, out)
            }
            None => {
                let name = mechanism.name();
                log::error(&format_args!("authdaemond does not know {name}; POP3AUTH should not list it"));
                self.cannot_serve(mechanism, out)
            }
        }
    }

    /// Logs the failure at once; it is told later.
    fn fail(&mut self, attempt: Attempt) -> Next {
        let sentence = attempt.rejected(&self.peer);
        self.asked = Asked::Failed(attempt, sentence);
        Next::Wait
    }

    /// Tells the client that its login has failed; to somebody whose mechanism
    /// tells why, that first, and the sentence when it was heard (RFC 7628
    /// section 3.2.3).
    pub(crate) fn told(&mut self, out: &mut Vec<u8>) {
        if let Asked::Failed(attempt, sentence) = std::mem::replace(&mut self.asked, Asked::Nothing) {
            self.say_failed(Some(&attempt), sentence, out);
        }
    }

    /// Tells the client that `attempt`, which an earlier process has made, has
    /// failed.
    pub(crate) fn say_failed(&mut self, attempt: Option<&Attempt>, sentence: Reply, out: &mut Vec<u8>) {
        let mechanism = attempt.and_then(Attempt::mechanism);
        match mechanism.and_then(|known| Some((known, Exchange::refused(known, &settings::hints())?))) {
            Some((mechanism, (exchange, challenge))) => {
                self.authorization.challenge(&challenge, out);
                self.exchange = Some((mechanism, exchange));
            }
            None => reply::put(sentence, out),
        }
    }

    /// TLS is on, with what the channel vouches for now, and what binds to it.
    pub(crate) fn tls_started(&mut self, mut channel: Channel) {
        self.authorization.tls_started();
        if !channel.bindings.is_empty() {
            for mechanism in settings::bound(self.can_serve) {
                channel.offers_binding = true;
                self.authorization.announce(mechanism.name());
            }
        }
        if channel.certificate_name.is_some() {
            self.authorization.announce(Mechanism::External.name());
        }
        self.channel = channel;
    }

    /// The mechanism cannot be had here, whoever asks: no failed login.
    fn cannot_serve(&mut self, mechanism: Mechanism, out: &mut Vec<u8>) -> Next {
        let action = self.authorization.cannot_serve(out);
        log::method_failed(mechanism.name(), &self.peer);
        after(&action)
    }
}

fn attempt(mechanism: Mechanism) -> Attempt {
    Attempt::Auth(mechanism.name().to_owned())
}

fn after(action: &Action) -> Next {
    if *action == Action::Drop { Next::Close(Close::Dropped) } else { Next::Line }
}
