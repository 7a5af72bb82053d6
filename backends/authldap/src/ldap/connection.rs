//! A connection to a server: one operation at a time, each with an end.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authlib::printable::{printable, reason};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use zeroize::Zeroizing;

use super::ber::{self, Malformed, Octets};
use super::entry::Entry;
use super::message::{self, Answer, Page, ResultCode, Search};
use super::socket::Socket;
use super::uri::Uri;

/// Most octets of one message of a server.
pub(crate) const LIMIT: usize = 256 * 1024;

/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection. It may only be used for another operation after one that went
/// to its end, with whatever result.
pub(crate) struct Connection {
    stream: Stream,
    /// What was read: up to `used` it was looked at, up to `filled` it is there.
    buffer: Zeroizing<Vec<u8>>,
    used: usize,
    filled: usize,
    id: u32,
    timeout: Duration,
}

enum Stream {
    Clear(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

/// Why an operation has no result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection is of no use any more. The words are for the log.
    Lost(String),
    /// The server will not do it.
    Refused(ResultCode),
}

/// What there is to say about a search beside the entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// There may be more on another server, which was not asked.
    pub(crate) has_references: bool,
    /// What to ask for the next page with.
    pub(crate) cookie: Option<Vec<u8>>,
}

/// How a connection begins.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// Without TLS.
    None,
    /// With StartTLS, before anything else is said.
    StartTls(Arc<ClientConfig>),
    /// With TLS.
    Tls(Arc<ClientConfig>),
}

impl Connection {
    /// A connection to the server at `uri`; it and each operation may take
    /// `timeout`.
    pub(crate) fn open(uri: &Uri, security: Security, timeout: Duration) -> Result<Self, Failure> {
        let end = Instant::now() + timeout;
        let (socket, host) = match uri {
            Uri::Ldap { host, port } | Uri::Ldaps { host, port } => {
                (Socket::tcp(host, *port, end)?, host.as_str())
            }
            Uri::Ldapi(path) => (Socket::unix(path, end)?, ""),
        };
        let mut connection = Connection {
            stream: Stream::Clear(socket),
            // All of it at once: a vector that grows would leave passwords behind.
            buffer: Zeroizing::new(vec![0; LIMIT]),
            used: 0,
            filled: 0,
            id: 0,
            timeout,
        };
        match security {
            Security::None => Ok(connection),
            Security::Tls(config) => connection.secured(config, host),
            Security::StartTls(config) => {
                connection.begin(&message::start_tls(), None)?;
                connection.result(message::EXTENDED_RESPONSE)?.success()?;
                if connection.used != connection.filled {
                    // Whoever stands between could have said it.
                    return Err(Failure::Lost("octets in clear behind StartTLS".to_owned()));
                }
                connection.secured(config, host)
            }
        }
    }

    /// The same inside TLS, as soon as that is there.
    fn secured(mut self, config: Arc<ClientConfig>, host: &str) -> Result<Self, Failure> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::Lost("no certificate can have this name".to_owned()))?;
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let Stream::Clear(mut socket) = self.stream else {
            return Err(Failure::Lost("TLS inside TLS".to_owned()));
        };
        tls.complete_io(&mut socket)?;
        self.stream = Stream::Tls(Box::new(StreamOwned::new(tls, socket)));
        Ok(self)
    }

    /// Asks the server whether `password` is that of `dn`; if so, this is who
    /// acts from now on. An empty password would ask to be nobody (RFC 4513
    /// section 5.1.2): it is never sent.
    pub(crate) fn bind(&mut self, dn: &[u8], password: &[u8]) -> Result<ResultCode, Failure> {
        if password.is_empty() {
            return Ok(ResultCode::INVALID_CREDENTIALS);
        }
        self.begin(&message::bind(dn, password), None)?;
        self.result(message::BIND_RESPONSE)
    }

    /// Gives each entry that is found to `each`, until that says no: the rest
    /// is not waited for, and the connection is lost. Without a page the whole
    /// search has one end; with one it may take its time as long as something
    /// comes.
    pub(crate) fn search(
        &mut self,
        search: &Search<'_>,
        page: Option<Page<'_>>,
        each: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Found, Failure> {
        self.begin(&message::search(search), page.map(message::page).as_ref())?;
        let mut found = Found::default();
        loop {
            let answer = self.answer()?;
            match answer.tag {
                message::SEARCH_ENTRY if each(Entry::parse(answer.content)?) => {}
                message::SEARCH_ENTRY => return Err(Failure::Lost("nobody listens any more".to_owned())),
                message::SEARCH_REFERENCE => found.has_references = true,
                message::SEARCH_DONE => {
                    match answer.result()?.lost_if_busy()? {
                        // As many as were asked for.
                        ResultCode::SIZE_LIMIT_EXCEEDED if search.most > 0 => {}
                        code => code.success()?,
                    }
                    found.cookie = answer.cookie()?.map(<[u8]>::to_vec);
                    return Ok(found);
                }
                _ => return Err(Malformed.into()),
            }
            if page.is_some() {
                self.until(Instant::now() + self.timeout);
            }
        }
    }

    /// Each of `attributes` of the entry `dn` gets the one value beside it.
    pub(crate) fn modify(&mut self, dn: &[u8], attributes: &[(&str, &[u8])]) -> Result<(), Failure> {
        self.begin(&message::modify(dn, attributes), None)?;
        self.result(message::MODIFY_RESPONSE)?.success()
    }

    /// Says goodbye to a server that is still there (RFC 4511 section 4.3).
    pub(crate) fn close(mut self) {
        self.until(Instant::now() + FAREWELL);
        let goodbye = message::request(self.next_id(), &message::unbind(), None);
        // It may have gone meanwhile.
        let _ = self.stream.write_all(&goodbye).and_then(|()| self.stream.flush());
    }

    /// Asks the server to change the password of `dn` itself (RFC 3062).
    pub(crate) fn modify_password(&mut self, dn: &[u8], old: &[u8], new: &[u8]) -> Result<(), Failure> {
        self.begin(&message::modify_password(dn, old, new), None)?;
        self.result(message::EXTENDED_RESPONSE)?.success()
    }

    /// Sends a request, and starts the clock for its answer.
    fn begin(&mut self, operation: &Octets, controls: Option<&Octets>) -> Result<(), Failure> {
        self.until(Instant::now() + self.timeout);
        let request = message::request(self.next_id(), operation, controls);
        self.stream.write_all(&request)?;
        Ok(self.stream.flush()?)
    }

    /// How an operation went whose answer is of the kind `tag`.
    fn result(&mut self, tag: u8) -> Result<ResultCode, Failure> {
        let answer = self.answer()?;
        if answer.tag != tag {
            return Err(Malformed.into());
        }
        answer.result()?.lost_if_busy()
    }

    /// The next message, which has to be about the last request.
    fn answer(&mut self) -> Result<Answer<'_>, Failure> {
        let length = loop {
            match ber::length(&self.buffer[self.used..self.filled])? {
                Some(length) if length > LIMIT => {
                    return Err(Failure::Lost(format!("an answer of more than {LIMIT} octets")));
                }
                Some(length) if length <= self.filled - self.used => break length,
                _ => self.read()?,
            }
        };
        let octets = &self.buffer[self.used..self.used + length];
        self.used += length;
        match Answer::parse(octets)? {
            answer if answer.id == self.id => Ok(answer),
            // A notice of disconnection, most likely (RFC 4511 section 4.4.1).
            Answer { id: 0, .. } => Err(Failure::Lost("the server ends the connection".to_owned())),
            _ => Err(Malformed.into()),
        }
    }

    /// Reads more, behind what was not looked at yet.
    fn read(&mut self) -> Result<(), Failure> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => Err(Failure::Lost("the connection has ended".to_owned())),
            octets => {
                self.filled += octets;
                Ok(())
            }
        }
    }

    fn next_id(&mut self) -> u32 {
        self.id = self.id % 0x7fff_ffff + 1;
        self.id
    }

    fn until(&mut self, end: Instant) {
        match &mut self.stream {
            Stream::Clear(socket) => socket.until(end),
            Stream::Tls(tls) => tls.sock.until(end),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Stream::Clear(socket) => socket.read(buffer),
                Stream::Tls(tls) => tls.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.write(octets),
            Stream::Tls(tls) => tls.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

impl ResultCode {
    fn success(self) -> Result<(), Failure> {
        if self == ResultCode::SUCCESS { Ok(()) } else { Err(Failure::Refused(self)) }
    }

    /// A server that is busy or about to end is as good as gone.
    fn lost_if_busy(self) -> Result<ResultCode, Failure> {
        match self {
            ResultCode::BUSY | ResultCode::UNAVAILABLE => Err(Failure::Lost(self.to_string())),
            code => Ok(code),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Lost(match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".to_owned(),
            io::ErrorKind::UnexpectedEof => "the connection has ended".to_owned(),
            _ => printable(reason(&error).as_bytes()),
        })
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Failure::Lost("an answer that is none".to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Lost(why) => formatter.write_str(why),
            Failure::Refused(code) => code.fmt(formatter),
        }
    }
}
