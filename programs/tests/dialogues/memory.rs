//! The protocol core alone: no process, no disk, no clock. What a session
//! would ask of others is answered here from a vector of messages and one
//! password.

use std::io;

use authlib::sasl::{Exchange, Mechanism, Step};
use authlib::scram::Salt;
use pop3::{
    Authorization, AuthorizationAction, CREDENTIAL_LIMIT, Encoder, Line, LineReader, Maildrop, Offer,
    Response, Retrieval, Transaction, TransactionAction, Wrapper, reply,
};
use testbed::Outcome;
use testbed::dialogue::{Dialogue, Side};
use testbed::maildrop::{Entry, Kind};
use testbed::play::{Door, Stage, play};
use testbed::wire::Wire;

/// Plays `dialogue` as it is written.
pub(crate) fn as_written(dialogue: &Dialogue) -> Outcome {
    on(dialogue, usize::MAX)
}

/// Plays `dialogue` with every octet arriving alone: the network may cut where
/// it likes.
pub(crate) fn octet_by_octet(dialogue: &Dialogue) -> Outcome {
    on(dialogue, 1)
}

fn on(dialogue: &Dialogue, at_once: usize) -> Outcome {
    let stage = Stage { side: Side::Ours, door: Door::Login, maildir: None, log: None, tls: false };
    play(dialogue, &mut Core::new(dialogue, at_once), &stage)
}

/// A session with the core.
struct Core {
    state: State,
    reader: LineReader,
    letters: Letters,
    /// Octets that arrive at once.
    at_once: usize,
    said: Vec<u8>,
}

#[expect(clippy::large_enum_variant, reason = "there is one")]
enum State {
    Authorization(Authorization, Option<Exchange>),
    Transaction(Transaction<Letters>),
    Closed,
}

/// The octets of the messages, in order.
#[derive(Clone)]
struct Letters(Vec<Vec<u8>>);

impl Core {
    fn new(dialogue: &Dialogue, at_once: usize) -> Core {
        let mechanisms = vec!["PLAIN".to_owned(), "LOGIN".to_owned()];
        let offer = Offer { mechanisms_under_tls: mechanisms.clone(), mechanisms, ..Offer::default() };
        let mut said = Vec::new();
        let authorization = Authorization::new(offer);
        authorization.greet(&mut said);
        Core {
            state: State::Authorization(authorization, None),
            reader: LineReader::new(CREDENTIAL_LIMIT),
            letters: Letters::of(&dialogue.maildrop),
            at_once,
            said,
        }
    }

    fn hear(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let Core { state, reader, letters, said, .. } = self;
            let Some(line) = reader.take(&mut octets) else { return };
            let next = match state {
                State::Authorization(authorization, exchange) => {
                    authorize(authorization, exchange, &line, letters, said)
                }
                State::Transaction(transaction) => transact(transaction, &line, said),
                State::Closed => return,
            };
            if let Some(next) = next {
                if matches!(next, State::Transaction(_)) {
                    *reader = LineReader::new(pop3::COMMAND_LIMIT);
                }
                *state = next;
            }
        }
    }
}

/// One line before login; the next state if it changes.
fn authorize(
    authorization: &mut Authorization,
    exchange: &mut Option<Exchange>,
    line: &Line<'_>,
    letters: &Letters,
    said: &mut Vec<u8>,
) -> Option<State> {
    let step = match authorization.line(line, said) {
        AuthorizationAction::Continue | AuthorizationAction::Aborted | AuthorizationAction::StartTls => {
            return None;
        }
        AuthorizationAction::Quit | AuthorizationAction::Drop => return Some(State::Closed),
        AuthorizationAction::Login { user, password } if is_alice(&user, password.expose()) => {
            return Some(open(authorization, letters, said));
        }
        AuthorizationAction::Login { .. } | AuthorizationAction::Apop { .. } => {
            reply::put(reply::LOGIN_FAILED, said);
            return None;
        }
        AuthorizationAction::Authenticate { mechanism, initial } => {
            match Mechanism::from_name(mechanism.as_bytes()) {
                Some(mechanism) => begin(exchange, mechanism, initial),
                None => Step::Failed,
            }
        }
        AuthorizationAction::Respond(response) => match (&mut *exchange, response) {
            (Some(exchange), Ok(response)) => exchange.respond(response.expose()),
            (Some(exchange), Err(_)) => exchange.undecodable(),
            (None, _) => Step::Failed,
        },
    };
    match answered(step, exchange) {
        Step::Challenge(challenge) => authorization.challenge(&challenge, said),
        Step::Credentials { user, password } if is_alice(&user, password.expose()) => {
            return Some(open(authorization, letters, said));
        }
        Step::Proof(proof) if proof.user() == b"alice" && proof.is_of_password(b"secret") => {
            return Some(open(authorization, letters, said));
        }
        Step::Accepted => return Some(open(authorization, letters, said)),
        Step::Aborted => {
            authorization.abort_exchange(said);
        }
        _ => reply::put(reply::AUTHENTICATION_FAILED, said),
    }
    None
}

/// What becomes of the two questions of SCRAM.
fn answered(step: Step, exchange: &mut Option<Exchange>) -> Step {
    let salt = Salt::new(b"in memory", 4096);
    match (step, exchange, salt) {
        (Step::Salt(_), Some(exchange), Some(salt)) => exchange.salt(&salt),
        (Step::Scram(proof), Some(exchange), _) if proof.user() == b"alice" => {
            proof.verify(None, Some(b"secret")).map_or(Step::Failed, |signature| exchange.signed(&signature))
        }
        (step, _, _) => step,
    }
}

fn begin(exchange: &mut Option<Exchange>, mechanism: Mechanism, initial: Option<Response>) -> Step {
    let Ok(begun) = Exchange::new(mechanism, b"memory") else { return Step::Failed };
    let exchange = exchange.insert(begun);
    match initial {
        None => exchange.start(None),
        Some(Ok(response)) => exchange.start(Some(response.expose())),
        Some(Err(_)) => exchange.undecodable(),
    }
}

fn is_alice(user: &[u8], password: &[u8]) -> bool {
    (user, password) == (b"alice", b"secret")
}

fn open(authorization: &Authorization, letters: &Letters, said: &mut Vec<u8>) -> State {
    reply::put(reply::LOGGED_IN, said);
    let wrapper = Wrapper::new("=_memory", "message/global");
    State::Transaction(Transaction::new(letters.clone(), authorization.utf8(), wrapper))
}

/// One line after login; the next state if it changes.
fn transact(transaction: &mut Transaction<Letters>, line: &Line<'_>, said: &mut Vec<u8>) -> Option<State> {
    match transaction.line(line, said) {
        TransactionAction::Continue => None,
        TransactionAction::List(mut listing) => {
            while !transaction.list(&mut listing, said.len() + 1, said) {}
            None
        }
        TransactionAction::Retrieve(retrieval) => {
            retrieve(transaction, retrieval, said);
            None
        }
        TransactionAction::Update => {
            reply::put(reply::BYE, said);
            Some(State::Closed)
        }
        TransactionAction::Drop => Some(State::Closed),
    }
}

fn retrieve(transaction: &Transaction<Letters>, retrieval: Retrieval, said: &mut Vec<u8>) {
    let letters = transaction.maildrop();
    let place = retrieval.message.place();
    let mut encoder = transaction.begin(retrieval, letters.octets(place), said);
    encoder.push(&letters.0[place], said);
    encoder.finish(said);
}

impl Letters {
    fn of(entries: &[Entry]) -> Letters {
        let mut files: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                Kind::File(octets) => Some((entry.path.split_once('/')?.1, octets.clone())),
                _ => None,
            })
            .collect();
        files.sort_by_key(|(name, _)| (*name).to_owned());
        Letters(files.into_iter().map(|(_, octets)| octets).collect())
    }
}

impl Maildrop for Letters {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn octets(&self, place: usize) -> u64 {
        let mut nowhere = Vec::new();
        let mut encoder = Encoder::whole(None, &mut nowhere);
        encoder.push(&self.0[place], &mut nowhere);
        encoder.finish(&mut nowhere).octets
    }

    fn is_utf8(&self, place: usize) -> bool {
        let mut lines = self.0[place].split(|&octet| octet == b'\n');
        lines.by_ref().take_while(|line| !line.trim_ascii().is_empty()).any(|line| !line.is_ascii())
    }

    fn put_unique_id(&self, place: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("UID{}-1000000000", place + 1).as_bytes());
    }
}

impl Wire for Core {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        octets.chunks(self.at_once).for_each(|piece| self.hear(piece));
        Ok(())
    }

    /// Half a line is never executed, so the end of the connection is nothing
    /// but an end (ledger 113).
    fn finish(&mut self) -> io::Result<()> {
        self.state = State::Closed;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        if self.said.is_empty() && !matches!(self.state, State::Closed) {
            return Err(io::Error::other("the server waits, and so does the client"));
        }
        Ok(std::mem::take(&mut self.said))
    }
}
