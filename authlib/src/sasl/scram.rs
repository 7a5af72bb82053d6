//! SCRAM (RFC 5802, RFC 7677) as the server sees it: four messages and two
//! questions.
//!
//! ```text
//! client-first   n,,n=user,r=nonce          ──> Step::Salt       driver: salt()
//! server-first   r=nonce+ours,s=salt,i=4096
//! client-final   c=biws,r=nonce+ours,p=…    ──> Step::Scram      driver: signed(), if it is right
//! server-final   v=…
//! (empty)                                   ──> Step::Accepted
//! ```
//!
//! Here the messages are read, the nonce and the channel binding compared;
//! keys are somebody else's ([`crate::scram`]).

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use system::random;

use super::{Channel, Step};
use crate::printable::has_control;
use crate::scram::{Proof, Salt, Wanted};
use crate::scram_keys::Hash;

/// Random octets of our part of the nonce.
const NONCE: usize = 18;
/// Most octets of the client's part.
const CLIENT_NONCE: usize = 512;

/// One run; what it waits for is its [`State`].
#[derive(Debug)]
pub(super) struct Run {
    hash: Hash,
    plus: bool,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    ClientFirst,
    Salt(ClientFirst),
    ClientFinal { first: ClientFirst, server_first: Vec<u8> },
    Verdict,
    Empty,
    Over,
}

/// The client's first message, understood.
#[derive(Debug)]
struct ClientFirst {
    /// What `c=` of the last message has to hold: the header and the channel's
    /// binding data.
    binding: Vec<u8>,
    /// The message without its header.
    bare: Vec<u8>,
    user: Vec<u8>,
    /// Both parts of the nonce.
    nonce: Vec<u8>,
}

/// Why a message leads nowhere.
enum Refusal {
    /// It is not formed as the RFC says.
    Malformed,
    /// It is, but must not be accepted.
    Refused,
}

impl From<Refusal> for Step {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed => Step::Aborted,
            Refusal::Refused => Step::Failed,
        }
    }
}

impl Run {
    pub(super) fn new(hash: Hash, plus: bool) -> io::Result<Self> {
        let nonce = STANDARD.encode(random::octets::<NONCE>()?);
        Ok(Run { hash, plus, nonce, state: State::ClientFirst })
    }

    /// Takes the client's next message.
    pub(super) fn respond(&mut self, message: &[u8], channel: &Channel) -> Step {
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::ClientFirst => self.first(message, channel),
            State::ClientFinal { first, server_first } => {
                self.state = State::Verdict;
                last(self.hash, &first, server_first, message).map(Step::Scram)
            }
            State::Empty if message.is_empty() => Ok(Step::Accepted),
            State::Empty => Err(Refusal::Malformed),
            State::Salt(_) | State::Verdict | State::Over => Err(Refusal::Refused),
        };
        step.unwrap_or_else(|refusal| {
            self.state = State::Over;
            refusal.into()
        })
    }

    fn first(&mut self, message: &[u8], channel: &Channel) -> Result<Step, Refusal> {
        let first = ClientFirst::parse(message, self.plus, &self.nonce, channel)?;
        let wanted = Wanted { hash: self.hash, user: first.user.clone(), for_clear: None };
        self.state = State::Salt(first);
        Ok(Step::Salt(wanted))
    }

    /// Names the salt; fails if nobody has asked for one.
    pub(super) fn salt(&mut self, salt: &Salt) -> Step {
        let State::Salt(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Failed;
        };
        let server_first = salt.server_first(&first.nonce);
        self.state = State::ClientFinal { first, server_first: server_first.clone() };
        Step::Challenge(server_first)
    }

    /// The proof was right: shows that we have the keys as well.
    pub(super) fn signed(&mut self, signature: &[u8]) -> Step {
        let State::Verdict = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Failed;
        };
        self.state = State::Empty;
        Step::Challenge(format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}

impl ClientFirst {
    /// `flag , [a=authzid] , n=user , r=nonce [, extensions]`
    fn parse(message: &[u8], plus: bool, our_nonce: &str, channel: &Channel) -> Result<Self, Refusal> {
        let mut parts = message.splitn(3, |&octet| octet == b',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::Malformed);
        };
        let mut attributes = bare.split(|&octet| octet == b',');
        // `m=` in the place of the name would be an extension that we would
        // have to understand.
        let user = attributes.next().and_then(|user| user.strip_prefix(b"n=")).ok_or(Refusal::Malformed)?;
        let user = name(user).ok_or(Refusal::Malformed)?;
        let nonce =
            attributes.next().and_then(|nonce| nonce.strip_prefix(b"r=")).filter(|nonce| is_nonce(nonce));
        let nonce = nonce.ok_or(Refusal::Malformed)?;
        if !attributes.all(is_extension) {
            return Err(Refusal::Malformed);
        }
        let data = bound(flag, plus, channel)?;
        let is_own = match authzid.strip_prefix(b"a=") {
            Some(authzid) => name(authzid).ok_or(Refusal::Malformed)? == user,
            None if authzid.is_empty() => true,
            None => return Err(Refusal::Malformed),
        };
        // Nobody may act as somebody else here (ledger 118).
        if !is_own || user.is_empty() || has_control(&user) {
            return Err(Refusal::Refused);
        }
        Ok(ClientFirst {
            binding: [flag, b",", authzid, b",", data].concat(),
            bare: bare.to_vec(),
            user,
            nonce: [nonce, our_nonce.as_bytes()].concat(),
        })
    }
}

/// The binding data that the client's `flag` asks for (RFC 5802 section 6).
///
/// `y` says "I could bind, but you cannot": where we have offered it, somebody
/// has changed our offer on its way.
fn bound<'c>(flag: &[u8], plus: bool, channel: &'c Channel) -> Result<&'c [u8], Refusal> {
    match (flag, plus) {
        (b"n", false) => Ok(b""),
        (b"y", false) if !channel.offers_binding => Ok(b""),
        (b"n" | b"y", _) => Err(Refusal::Refused),
        _ => match (flag.strip_prefix(b"p="), plus) {
            (Some(name), true) => channel.binding(name).ok_or(Refusal::Refused),
            (Some(_), false) => Err(Refusal::Refused),
            (None, _) => Err(Refusal::Malformed),
        },
    }
}

/// `c=binding , r=nonce [, extensions] , p=proof`
fn last(hash: Hash, first: &ClientFirst, server_first: Vec<u8>, message: &[u8]) -> Result<Proof, Refusal> {
    let at = message.iter().rposition(|&octet| octet == b',').ok_or(Refusal::Malformed)?;
    let (without_proof, proof) = (&message[..at], &message[at + 1..]);
    let octets = |text: &[u8]| STANDARD.decode(text).map_err(|_| Refusal::Malformed);
    let proof = octets(proof.strip_prefix(b"p=").ok_or(Refusal::Malformed)?)?;
    let mut attributes = without_proof.split(|&octet| octet == b',');
    let binding =
        attributes.next().and_then(|binding| binding.strip_prefix(b"c=")).ok_or(Refusal::Malformed)?;
    let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix(b"r=")).ok_or(Refusal::Malformed)?;
    if !attributes.all(is_extension) {
        return Err(Refusal::Malformed);
    }
    if octets(binding)? != first.binding || nonce != first.nonce {
        return Err(Refusal::Refused);
    }
    let messages = [first.bare.clone(), server_first, without_proof.to_vec()];
    Proof::new(hash, &first.user, messages, &proof).ok_or(Refusal::Refused)
}

/// A saslname (RFC 5802 section 5.1): `=2C` is a comma, `=3D` an equals sign,
/// and no other equals sign may be there.
fn name(text: &[u8]) -> Option<Vec<u8>> {
    let mut parts = text.split(|&octet| octet == b'=');
    let mut name = parts.next()?.to_vec();
    for part in parts {
        let (octet, rest) = match part {
            [b'2', b'C', rest @ ..] => (b',', rest),
            [b'3', b'D', rest @ ..] => (b'=', rest),
            _ => return None,
        };
        name.push(octet);
        name.extend_from_slice(rest);
    }
    std::str::from_utf8(&name).is_ok().then_some(name)
}

/// Printable ASCII but a comma.
fn is_nonce(text: &[u8]) -> bool {
    (1..=CLIENT_NONCE).contains(&text.len())
        && text.iter().all(|&octet| octet.is_ascii_graphic() && octet != b',')
}

/// An extension that may be passed over: a letter, but not `m`, which says
/// that it may not.
fn is_extension(attribute: &[u8]) -> bool {
    matches!(attribute, [letter, b'=', _, ..] if letter.is_ascii_alphabetic() && *letter != b'm')
}

#[cfg(test)]
mod tests;
