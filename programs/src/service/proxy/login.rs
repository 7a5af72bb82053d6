//! A login at a back-end, from its name to the end of the dialogue, without a
//! wait.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use pop3::LineReader;
use rustix::event::epoll::EventFlags;
use zeroize::Zeroizing;

use super::backend::Backend;
use super::tls::Connector;
use crate::proxy::{self, ClientAt, Dialogue, Failure, Forward, Next, Settings, Tls, Wishes};
use crate::service::errand::Connect;

/// A whole login; the client has a minute for its own.
const LOGIN: Duration = Duration::from_secs(30);
/// A connection to one address, if there are others.
const CONNECTION: Duration = Duration::from_secs(10);
/// Longest line of a back-end, in octets.
const LONGEST_LINE: usize = 1024;

/// A login on its way.
pub(super) struct Login {
    errand: Connect,
    state: State,
    /// Addresses that have not been tried.
    addresses: VecDeque<IpAddr>,
    /// What has come of the last one that was.
    last_error: String,
    began: Instant,
    /// When the present connection is given up for the next one.
    next_address: Instant,
}

enum State {
    /// Its name is being looked up.
    Resolving,
    /// There is no connection yet.
    Connecting(Backend, SocketAddr),
    /// There is.
    Talking(Box<Talk>),
}

/// The dialogue, and the connection that it is spoken on.
struct Talk {
    backend: Backend,
    dialogue: Dialogue,
    shaking: bool,
    reader: LineReader,
    /// What has been heard and not read.
    heard: Vec<u8>,
    /// What the back-end has not taken.
    saying: Zeroizing<Vec<u8>>,
}

/// What a login has come to.
pub(super) enum Progress {
    /// It waits for the back-end.
    Waits,
    /// Its session has begun, and these octets have come behind that.
    Done(Backend, Vec<u8>),
}

/// What a login needs of the process.
pub(super) struct Means<'p> {
    pub(super) settings: &'p Settings,
    pub(super) connector: Option<&'p dyn Connector>,
}

impl Login {
    /// One that has no address yet.
    pub(super) fn new(errand: Connect, now: Instant) -> Login {
        Login {
            errand,
            state: State::Resolving,
            addresses: VecDeque::new(),
            last_error: "it has no address".to_owned(),
            began: now,
            next_address: now + LOGIN,
        }
    }

    /// What it is about.
    pub(super) fn errand(&self) -> &Connect {
        &self.errand
    }

    /// What it was about.
    pub(super) fn into_errand(self) -> Connect {
        self.errand
    }

    /// The back-end has these addresses.
    ///
    /// # Errors
    /// None can be connected to.
    pub(super) fn found(&mut self, addresses: Vec<IpAddr>, means: &Means<'_>) -> Result<(), Failure> {
        self.addresses = addresses.into();
        self.connect_to_next(means)
    }

    /// When somebody is to look after it again.
    pub(super) fn deadline(&self) -> Instant {
        match self.state {
            State::Connecting(..) if !self.addresses.is_empty() => self.next_address.min(self.began + LOGIN),
            _ => self.began + LOGIN,
        }
    }

    /// Its time is up, or that of one address.
    ///
    /// # Errors
    /// There is none left.
    pub(super) fn time_is_up(&mut self, means: &Means<'_>, now: Instant) -> Result<(), Failure> {
        match &self.state {
            State::Connecting(..) if now < self.began + LOGIN => {
                self.last_error = "timed out".to_owned();
                self.connect_to_next(means)
            }
            State::Connecting(..) => Err(Failure::Unreachable("timed out".to_owned())),
            State::Resolving => Err(Failure::Unreachable("no name server has answered".to_owned())),
            State::Talking(talk) if talk.shaking => Err(Failure::Tls("timed out".to_owned())),
            State::Talking(talk) => Err(talk.dialogue.silent()),
        }
    }

    /// The address of our own end, once there is one.
    pub(super) fn own_address(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Resolving => None,
            State::Connecting(backend, _) => backend.own_address(),
            State::Talking(talk) => talk.backend.own_address(),
        }
    }

    /// Has `epoll` watch the connection.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports.
    pub(super) fn watch(&mut self, token: u64, epoll: &OwnedFd) -> io::Result<()> {
        match &mut self.state {
            State::Resolving => Ok(()),
            State::Connecting(backend, _) => backend.watch(EventFlags::OUT, token, epoll),
            State::Talking(talk) if !talk.saying.is_empty() => {
                talk.backend.watch(EventFlags::OUT, token, epoll)
            }
            State::Talking(talk) => talk.backend.watch(EventFlags::IN, token, epoll),
        }
    }

    /// The back-end may have done something.
    ///
    /// # Errors
    /// There will be no session.
    pub(super) fn go_on(&mut self, means: &Means<'_>) -> Result<Progress, Failure> {
        if let State::Connecting(backend, address) = &self.state {
            let address = *address;
            if let Err(error) = backend.connected() {
                self.last_error = reason(&error);
                self.connect_to_next(means)?;
                return Ok(Progress::Waits);
            }
            // Writable without an error, and yet without a peer: it goes on.
            if rustix::net::getpeername(backend).is_err() {
                return Ok(Progress::Waits);
            }
            self.connected(address, means)?;
        }
        let State::Talking(talk) = &mut self.state else { return Ok(Progress::Waits) };
        let connector = means.connector;
        if !talk.go_on(&self.errand.host, connector)? {
            return Ok(Progress::Waits);
        }
        match std::mem::replace(&mut self.state, State::Resolving) {
            State::Talking(talk) => Ok(Progress::Done(talk.backend, talk.heard)),
            _ => Ok(Progress::Waits),
        }
    }

    fn connect_to_next(&mut self, means: &Means<'_>) -> Result<(), Failure> {
        while let Some(ip) = self.addresses.pop_front() {
            let address = SocketAddr::new(ip, means.settings.port);
            match Backend::connect(address) {
                Ok(backend) => {
                    self.state = State::Connecting(backend, address);
                    self.next_address = Instant::now() + CONNECTION;
                    return Ok(());
                }
                Err(error) => self.last_error = reason(&error),
            }
        }
        Err(Failure::Unreachable(std::mem::take(&mut self.last_error)))
    }

    /// The connection is there: from here on it is talked.
    fn connected(&mut self, address: SocketAddr, means: &Means<'_>) -> Result<(), Failure> {
        let Means { settings, connector } = means;
        let State::Connecting(mut backend, _) = std::mem::replace(&mut self.state, State::Resolving) else {
            return Ok(());
        };
        let Connect { host, account, login, origin, utf8 } = &self.errand;
        let client = ClientAt::new(&origin.ip, &origin.port, origin.tls);
        let wishes = Wishes {
            stls: settings.stls(address.ip().to_canonical().is_loopback()),
            xclient: (settings.forward == Forward::Xclient).then(|| proxy::xclient(&client)).flatten(),
            utf8: *utf8,
        };
        let dialogue = Dialogue::new(account, login, wishes)?;
        let mut first = Vec::new();
        if settings.forward == Forward::Proxy2 {
            first = proxy::header(&client, backend.own_address().unwrap_or(address));
        }
        // A connection that is new has room for so much.
        if !first.is_empty() && !matches!(backend.give(&first), Ok(Some(given)) if given == first.len()) {
            return Err(dialogue.closed());
        }
        let implicit_tls = settings.tls == Tls::Implicit;
        if implicit_tls {
            backend.begin_tls(session(*connector, host)?);
        }
        let reader = LineReader::new(LONGEST_LINE);
        let (heard, saying) = (Vec::new(), Zeroizing::default());
        let talk = Talk { backend, dialogue, shaking: implicit_tls, reader, heard, saying };
        self.state = State::Talking(Box::new(talk));
        Ok(())
    }
}

impl Talk {
    /// Goes on with the dialogue; whether it is done.
    fn go_on(&mut self, host: &str, connector: Option<&dyn Connector>) -> Result<bool, Failure> {
        loop {
            if self.shaking {
                match self.backend.shake() {
                    Ok(Some(_)) => return Ok(false),
                    Ok(None) => self.shaking = false,
                    Err(error) if error.kind() == ErrorKind::InvalidData => {
                        return Err(Failure::Tls(error.to_string()));
                    }
                    Err(error) => return Err(Failure::Tls(reason(&error))),
                }
                if self.dialogue.began_tls() {
                    let next = self.dialogue.tls_started();
                    self.obey(next, host, connector)?;
                }
            }
            if !self.say()? {
                return Ok(false);
            }
            let Some(next) = self.next_line() else {
                if !self.listen()? {
                    return Ok(false);
                }
                continue;
            };
            if self.obey(next, host, connector)? {
                return Ok(true);
            }
        }
    }

    /// What the next line leads to, if that has come.
    fn next_line(&mut self) -> Option<Next> {
        let mut rest = self.heard.as_slice();
        let next = self.reader.take(&mut rest).map(|line| self.dialogue.heard(&line));
        let used = self.heard.len() - rest.len();
        self.heard.drain(..used);
        next
    }

    /// Does what the dialogue wants; whether it is done.
    fn obey(&mut self, next: Next, host: &str, connector: Option<&dyn Connector>) -> Result<bool, Failure> {
        match next {
            Next::Say(line) => self.saying = line,
            Next::StartTls => {
                // Nothing that was said in clear survives (RFC 2595 section 4).
                self.heard.clear();
                self.reader.forget();
                self.backend.begin_tls(session(connector, host)?);
                self.shaking = true;
            }
            Next::LoggedIn => return Ok(true),
            Next::Failed(failure) => return Err(failure),
        }
        Ok(false)
    }

    /// Says what waits to be said; whether that was all.
    fn say(&mut self) -> Result<bool, Failure> {
        while !self.saying.is_empty() {
            match self.backend.give(&self.saying) {
                Ok(Some(given)) => drop(self.saying.drain(..given)),
                Ok(None) => return Ok(false),
                Err(_) => return Err(self.dialogue.closed()),
            }
        }
        self.backend.flush().map_err(|_| self.dialogue.closed())
    }

    /// Takes what has come; whether anything has.
    fn listen(&mut self) -> Result<bool, Failure> {
        let mut buffer = [0; 4096];
        match self.backend.take(&mut buffer) {
            Ok(Some(0)) | Err(_) => Err(self.dialogue.closed()),
            Ok(Some(octets)) => {
                self.heard.extend_from_slice(&buffer[..octets]);
                Ok(true)
            }
            Ok(None) => Ok(false),
        }
    }
}

fn session(connector: Option<&dyn Connector>, host: &str) -> Result<Box<dyn super::tls::Session>, Failure> {
    let connector =
        connector.ok_or_else(|| Failure::Tls("there is none here (POSTRIDER_PROXY_TLS)".to_owned()))?;
    connector.session(host).map_err(Failure::Tls)
}
