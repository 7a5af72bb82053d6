//! What is asked: PRE, AUTH, PASSWD, ENUMERATE (reference: authlib 3.1, 3.2).

use zeroize::Zeroizing;

use crate::Record;
use crate::module::{Client, PasswordChange};
use crate::password::Remembered;
use crate::record;

/// Most octets of a line, with its end.
pub const LONGEST_LINE: usize = 8191;
/// A line of metadata by which a client says that it knows more answers than
/// Courier's do: [`refusal`](super::answer::refusal). Courier's authdaemond skips it (ledger 471).
pub const OURS: &[u8] = b"POSTRIDER=1";
/// The name of the metadata in which authdaemond tells its workers, and they our
/// module programs, what they need not compare again ([`answers`](crate::password::answers)).
const REMEMBERED: &[u8] = b"POSTRIDER_REMEMBERED";
/// Most octets of metadata before a request.
const MOST_METADATA: usize = 4 * LONGEST_LINE;
/// Most octets that a reader keeps: a line and a body.
pub const LIMIT: usize = LONGEST_LINE + record::LIMIT;

/// A request, and for whom it is made.
#[derive(Debug)]
pub struct Question {
    /// Whose session it is about, as the metadata say.
    pub client: Client,
    /// What is asked.
    pub request: Request,
    /// Whether who asks has said [`OURS`].
    pub is_ours: bool,
}

/// What is asked.
#[derive(Debug)]
pub enum Request {
    /// Whose account is this? No password is asked for.
    Pre {
        /// The only module to ask; all if there is none.
        module: Option<Vec<u8>>,
        /// The service.
        service: Vec<u8>,
        /// The user name: the rest of the line.
        user: Vec<u8>,
    },
    /// Are these credentials good?
    Auth(Record),
    /// A new password.
    Passwd(PasswordChange),
    /// A new password that nobody could log in with, or an empty old one: the
    /// answer is no, whoever is asked.
    Hopeless,
    /// A list of all accounts.
    Enumerate,
}

/// Why octets are no request. Nothing that follows them can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line, a body or the metadata have too many octets.
    #[error("the request is too long")]
    TooLong,
    /// Another word than PRE, AUTH, PASSWD, ENUMERATE, or a line with too
    /// little behind it.
    #[error("the request is unknown or incomplete")]
    Unknown,
    /// The body of AUTH is no record.
    #[error("the request has no authentication record")]
    Record,
    /// TCPREMOTEIP is no address.
    #[error("TCPREMOTEIP holds a control octet")]
    Address,
}

/// Makes questions of octets that arrive in any pieces. Keeps at most
/// [`LIMIT`] of them, and none before the first.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Buffer,
    client: Client,
    is_ours: bool,
    remembered: Option<Remembered>,
    metadata: usize,
    body: Option<usize>,
}

/// Octets that may hold a password.
#[derive(Default)]
struct Buffer(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Buffer")
    }
}

impl Reader {
    /// One that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Reader::default()
    }

    /// Whether it stands between two requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.0.is_empty() && self.metadata == 0 && self.body.is_none()
    }

    /// Takes what has arrived.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] if it is more than one request can be.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), Malformed> {
        let buffer = &mut self.buffer.0;
        if buffer.len() + octets.len() > LIMIT {
            return Err(Malformed::TooLong);
        }
        if buffer.capacity() < LIMIT && buffer.len() + octets.len() > buffer.capacity() {
            // By hand: what is left behind when a vector grows holds passwords.
            let room = if buffer.capacity() == 0 && octets.len() <= 512 { 512 } else { LIMIT };
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(buffer);
            *buffer = larger;
        }
        buffer.extend_from_slice(octets);
        Ok(())
    }

    /// The next question, if it is whole.
    ///
    /// # Errors
    /// See [`Malformed`]; a reader is of no use afterwards.
    pub fn next_question(&mut self) -> Result<Option<Question>, Malformed> {
        loop {
            let request = match self.body {
                Some(length) if self.buffer.0.len() < length => return Ok(None),
                Some(length) => {
                    let record = record(&self.take(length))?;
                    Request::Auth(record.with_remembered(self.remembered.take()))
                }
                None => match self.line()? {
                    None => return Ok(None),
                    Some(line) => match self.understand(&line)? {
                        None => continue,
                        Some(request) => request,
                    },
                },
            };
            self.body = None;
            self.metadata = 0;
            let (client, is_ours) = (std::mem::take(&mut self.client), std::mem::take(&mut self.is_ours));
            self.remembered = None;
            return Ok(Some(Question { client, request, is_ours }));
        }
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Malformed> {
        let end = self.buffer.0.iter().take(LONGEST_LINE).position(|&octet| octet == b'\n');
        match end {
            None if self.buffer.0.len() >= LONGEST_LINE => Err(Malformed::TooLong),
            None => Ok(None),
            Some(end) => {
                let mut line = self.take(end + 1);
                line.pop();
                Ok(Some(line))
            }
        }
    }

    fn take(&mut self, length: usize) -> Zeroizing<Vec<u8>> {
        let taken = Zeroizing::new(self.buffer.0[..length].to_vec());
        self.buffer.0.drain(..length);
        taken
    }

    /// The request that `line` is; `None` if it only begins one.
    fn understand(&mut self, line: &[u8]) -> Result<Option<Request>, Malformed> {
        if let Some(rest) = line.strip_prefix(b"PRE ") {
            return pre(rest).map(Some);
        }
        if let Some(rest) = line.strip_prefix(b"PASSWD ") {
            return passwd(rest).map(Some);
        }
        if let Some(rest) = line.strip_prefix(b"AUTH ") {
            self.body = Some(body_length(rest)?);
            return Ok(None);
        }
        if line == b"ENUMERATE" {
            return Ok(Some(Request::Enumerate));
        }
        self.metadata += line.len() + 1;
        self.is_ours |= line == OURS;
        match line.iter().position(|&octet| octet == b'=') {
            Some(_) if self.metadata > MOST_METADATA => Err(Malformed::TooLong),
            Some(end) if &line[..end] == b"TCPREMOTEIP" => {
                self.client = Client::at(&line[end + 1..]).map_err(|_| Malformed::Address)?;
                Ok(None)
            }
            Some(end) if &line[..end] == REMEMBERED => {
                self.remembered = Remembered::decode(&line[end + 1..]);
                Ok(None)
            }
            Some(_) => Ok(None),
            None => Err(Malformed::Unknown),
        }
    }
}

/// `<module or .> <service> <user>`, with one space or more between them.
fn pre(words: &[u8]) -> Result<Request, Malformed> {
    let (module, rest) = word(words)?;
    let (service, rest) = word(rest)?;
    let user = rest.trim_ascii_start();
    if user.is_empty() {
        return Err(Malformed::Unknown);
    }
    let module = Some(module.to_vec()).filter(|module| module != b".");
    Ok(Request::Pre { module, service: service.to_vec(), user: user.to_vec() })
}

/// The first word of `text`, and what stands behind it.
fn word(text: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let start = text.iter().position(|&octet| octet != b' ').ok_or(Malformed::Unknown)?;
    let text = &text[start..];
    let end = text.iter().position(|&octet| octet == b' ').ok_or(Malformed::Unknown)?;
    Ok((&text[..end], &text[end + 1..]))
}

/// `<service> TAB <user> TAB <old> TAB <new> [TAB …]`
fn passwd(fields: &[u8]) -> Result<Request, Malformed> {
    let mut fields = fields.split(|&octet| octet == b'\t');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(service), Some(user), Some(old), Some(new)) => {
            let change = PasswordChange::new(service, user, old, new);
            Ok(change.map_or(Request::Hopeless, Request::Passwd))
        }
        _ => Err(Malformed::Unknown),
    }
}

fn body_length(digits: &[u8]) -> Result<usize, Malformed> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|o| o.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(length) if length <= record::LIMIT => Ok(length),
        Some(_) => Err(Malformed::TooLong),
        None => Err(Malformed::Unknown),
    }
}

/// The record of a body, whose final LF may be missing.
fn record(body: &[u8]) -> Result<Record, Malformed> {
    let mut octets = Zeroizing::new(Vec::with_capacity(body.len() + 1));
    octets.extend_from_slice(body);
    if octets.last() != Some(&b'\n') {
        octets.push(b'\n');
    }
    Record::decode(&octets).map_err(|_| Malformed::Record)
}

/// `TCPREMOTEIP=address LF AUTH length LF record`
#[must_use]
pub fn auth(record: &Record, client: &Client) -> Zeroizing<Vec<u8>> {
    let body = record.body();
    let head = format!("AUTH {}\n", body.len());
    joined(&[&metadata(client), head.as_bytes(), body])
}

/// The same to one of our workers or module programs, with what is remembered
/// of the record.
#[must_use]
pub fn auth_with_remembered(record: &Record, client: &Client) -> Zeroizing<Vec<u8>> {
    let request = auth(record, client);
    match record.remembered() {
        None => request,
        Some(remembered) => joined(&[REMEMBERED, b"=", remembered.encode().as_bytes(), b"\n", &request]),
    }
}

/// The same, from one of us to an authdaemond that may be one of us.
#[must_use]
pub fn auth_of_ours(record: &Record, client: &Client) -> Zeroizing<Vec<u8>> {
    joined(&[OURS, b"\n", &auth(record, client)])
}

/// `TCPREMOTEIP=address LF PRE module service user LF`; `None` if one of them
/// cannot stand in such a line.
#[must_use]
pub fn look_up(
    module: Option<&[u8]>,
    service: &[u8],
    user: &[u8],
    client: &Client,
) -> Option<Zeroizing<Vec<u8>>> {
    use crate::printable::has_control;
    let module = module.unwrap_or(b".");
    let is_word = |text: &[u8]| !text.is_empty() && !text.contains(&b' ') && !has_control(text);
    let is_name = !user.is_empty() && !user.starts_with(b" ") && !has_control(user);
    let line = joined(&[&metadata(client), b"PRE ", module, b" ", service, b" ", user, b"\n"]);
    (is_word(module) && is_word(service) && is_name).then_some(line)
}

/// `PASSWD service TAB user TAB old TAB new LF`
#[must_use]
pub fn change_password(change: &PasswordChange) -> Zeroizing<Vec<u8>> {
    let (old, new) = (change.old().expose(), change.new_password().expose());
    joined(&[b"PASSWD ", change.service(), b"\t", change.user(), b"\t", old, b"\t", new, b"\n"])
}

/// `ENUMERATE LF`
pub const ENUMERATE: &[u8] = b"ENUMERATE\n";

fn metadata(client: &Client) -> Vec<u8> {
    client.ip().map(|ip| format!("TCPREMOTEIP={ip}\n").into_bytes()).unwrap_or_default()
}

/// Reserved at once: a vector that grows would leave passwords behind.
fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| whole.extend_from_slice(part));
    whole
}

#[cfg(test)]
mod tests;
