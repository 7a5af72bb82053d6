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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn questions(octets: &[u8]) -> Result<Vec<Question>, Malformed> {
        let mut reader = Reader::new();
        reader.push(octets)?;
        let mut questions = Vec::new();
        while let Some(question) = reader.next_question()? {
            questions.push(question);
        }
        Ok(questions)
    }

    fn only(octets: &[u8]) -> Question {
        let mut all = questions(octets).unwrap();
        assert_eq!(all.len(), 1, "{octets:?}");
        all.remove(0)
    }

    #[test]
    fn auth_as_couriers_login_program_sends_it() {
        let question = only(b"TCPREMOTEIP=::ffff:127.0.0.1\nAUTH 24\npop3\nlogin\nalice\nsecret\n");
        assert_eq!(question.client.ip(), Some("::ffff:127.0.0.1"));
        let Request::Auth(record) = question.request else { panic!() };
        assert_eq!(record.body(), b"pop3\nlogin\nalice\nsecret\n");
        let Request::Auth(record) = only(b"AUTH 23\npop3\nlogin\nalice\nsecret").request else { panic!() };
        assert_eq!(record.credentials().unwrap().password, b"secret");
        assert_eq!(auth(&record, &Client::default()).as_slice(), b"AUTH 24\npop3\nlogin\nalice\nsecret\n");
    }

    #[test]
    fn pre_takes_the_rest_of_its_line_for_the_name() {
        let pre = |line: &[u8]| match only(line).request {
            Request::Pre { module, service, user } => (module, service, user),
            other => panic!("{other:?}"),
        };
        assert_eq!(pre(b"PRE . pop3 alice\n"), (None, b"pop3".to_vec(), b"alice".to_vec()));
        let odd = pre(b"PRE  authpam   pop3  a lice \n");
        assert_eq!(odd, (Some(b"authpam".to_vec()), b"pop3".to_vec(), b"a lice ".to_vec()));
    }

    #[test]
    fn passwd_has_four_fields_and_no_hope_without_octets_in_them() {
        let Request::Passwd(change) = only(b"PASSWD pop3\talice\tsecret\tnew one\tmore\n").request else {
            panic!()
        };
        assert_eq!((change.service(), change.user()), (b"pop3".as_slice(), b"alice".as_slice()));
        assert_eq!(
            (change.old().expose(), change.new_password().expose()),
            (&b"secret"[..], &b"new one"[..])
        );
        let hopeless =
            [b"PASSWD pop3\talice\tsecret\t\n".as_slice(), b"PASSWD pop3\tali\x01ce\tsecret\tnew\n"];
        for line in hopeless {
            assert!(matches!(only(line).request, Request::Hopeless), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_request_is_said_to_be_none() {
        for (octets, why) in [
            (b"\n".as_slice(), Malformed::Unknown),
            (b"pre . pop3 alice\n", Malformed::Unknown),
            (b"PRE . pop3\n", Malformed::Unknown),
            (b"PRE . pop3 \n", Malformed::Unknown),
            (b"PRE alice\n", Malformed::Unknown),
            (b"AUTH -1\n", Malformed::Unknown),
            (b"AUTH +1\n", Malformed::Unknown),
            (b"AUTH x\n", Malformed::Unknown),
            (b"AUTH \n", Malformed::Unknown),
            (b"AUTH 8192\n", Malformed::TooLong),
            (b"AUTH 99999999999999999999\n", Malformed::Unknown),
            (b"AUTH 0\n", Malformed::Record),
            (b"AUTH 4\npop3", Malformed::Record),
            (b"AUTH 11\npop3\nlogin\n", Malformed::Record),
            (b"PASSWD pop3\talice\tsecret\n", Malformed::Unknown),
            (b"ENUMERATE \n", Malformed::Unknown),
            (b"TCPREMOTEIP=\x01\nENUMERATE\n", Malformed::Address),
            (&[b'x'; LONGEST_LINE], Malformed::TooLong),
            (&[b'x'; LIMIT + 1], Malformed::TooLong),
        ] {
            assert_eq!(questions(octets).unwrap_err(), why, "{octets:?}");
        }
        assert!(questions(b"AUTH 24\npop3\nlogin\nalice\nsecre").unwrap().is_empty());
    }

    #[test]
    fn metadata_without_end_are_refused() {
        let mut reader = Reader::new();
        let lines = (0..).map(|_| reader.push(b"A=xxxxxxxxxxxxxxx\n").and_then(|()| reader.next_question()));
        assert_eq!(lines.take(3000).find_map(Result::err), Some(Malformed::TooLong));
    }

    #[test]
    fn each_request_of_many_has_its_own_metadata() {
        let all = questions(b"TCPREMOTEIP=::1\nX=y\nPRE . pop3 a\nPRE . pop3 b\nENUMERATE\n").unwrap();
        let addresses: Vec<_> = all.iter().map(|question| question.client.ip()).collect();
        assert_eq!(addresses, [Some("::1"), None, None]);
    }

    #[test]
    fn a_client_of_ours_says_so_and_an_answer_travels_with_its_question() {
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        let client = Client::at(b"::1").unwrap();
        let request = auth_of_ours(&record, &client);
        assert!(request.starts_with(b"POSTRIDER=1\nTCPREMOTEIP=::1\nAUTH 24\n"));
        let question = only(&request);
        assert!(question.is_ours && question.client == client);
        let remembered = Remembered::decode(&[b'a'; 128]);
        let record = record.with_remembered(remembered.clone());
        let question = only(&auth_with_remembered(&record, &client));
        assert!(!question.is_ours && question.client == client);
        let Request::Auth(same) = question.request else { panic!() };
        assert_eq!(same.remembered(), remembered.as_ref());
        // Others than ours are not told.
        assert!(!auth(&record, &client).windows(8).any(|part| part == b"aaaaaaaa"));
        let all = questions(b"POSTRIDER_REMEMBERED=x\nPRE . pop3 a\nAUTH 24\npop3\nlogin\nalice\nsecret\n")
            .unwrap();
        assert!(matches!(&all[1].request, Request::Auth(record) if record.remembered().is_none()));
        for line in ["POSTRIDER=2", "POSTRIDER=", "XPOSTRIDER=1"] {
            assert!(!only(format!("{line}\nENUMERATE\n").as_bytes()).is_ours);
        }
    }

    #[test]
    fn what_cannot_stand_in_a_line_is_not_asked() {
        let client = Client::at(b"::1").unwrap();
        let line = look_up(None, b"pop3", b"a b", &client).unwrap();
        assert_eq!(line.as_slice(), b"TCPREMOTEIP=::1\nPRE . pop3 a b\n");
        for (service, user) in
            [("", "a"), ("po p3", "a"), ("pop3", ""), ("pop3", " a"), ("pop3", "a\nENUMERATE"), ("p\n", "a")]
        {
            assert!(
                look_up(None, service.as_bytes(), user.as_bytes(), &client).is_none(),
                "{service} {user}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_the_octets_gives_the_same_questions(cuts in prop::collection::vec(1..40usize, 0..20)) {
            let whole: &[u8] = b"TCPREMOTEIP=::1\nAUTH 24\npop3\nlogin\nalice\nsecret\nPRE . pop3 alice\n\
                PASSWD pop3\talice\tsecret\tnew\nENUMERATE\n";
            let mut reader = Reader::new();
            let mut seen = Vec::new();
            let mut rest = whole;
            for cut in cuts.into_iter().chain([whole.len()]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                reader.push(now).unwrap();
                rest = later;
                while let Some(question) = reader.next_question().unwrap() {
                    seen.push(format!("{question:?}"));
                }
            }
            let at_once: Vec<_> = questions(whole).unwrap().iter().map(|q| format!("{q:?}")).collect();
            prop_assert_eq!(seen, at_once);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_octets_do_harm(octets in prop::collection::vec(any::<u8>(), 0..200), head in "(PRE |AUTH |PASSWD |A=)?") {
            let _ = questions(&[head.as_bytes(), &octets].concat());
        }
    }
}
