//! Where the service listens: the places as administrators write them, and the
//! sockets that come of them, or were opened by somebody else before.

mod activation;
mod address;
mod socket;

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::environment;

use super::fields::{Malformed, Reader, Writer};
use super::sockets::Sockets;

pub(crate) use self::address::Address;

/// A listening socket, which never blocks.
#[derive(Debug)]
pub(crate) struct Listener {
    /// What it was opened as: two sockets with the same address are the same
    /// place, for whoever hands them over.
    pub(crate) address: Address,
    /// Where it is bound, which is another place if port 0 was asked for.
    pub(crate) bound: Address,
    /// How a conversation begins there.
    pub(crate) manner: Manner,
    /// It was not this service that has opened it.
    pub(crate) passed: bool,
    /// The socket.
    pub(crate) socket: OwnedFd,
}

/// How a conversation begins at a listening socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// The client begins with TLS.
    pub(crate) implicit_tls: bool,
    /// Somebody who stands in front begins, and says where the client is.
    pub(crate) proxied: bool,
}

/// At which addresses somebody stands in front.
#[derive(Debug)]
pub(crate) struct Proxied {
    everywhere: bool,
    addresses: Vec<Address>,
}

impl Proxied {
    /// From POSTRIDER_PROXY_AT: a list of addresses, of which a port alone means that
    /// port of every address; or `*`.
    ///
    /// # Errors
    /// What is wrong, for the log.
    pub(crate) fn from_environment() -> Result<Proxied, String> {
        match environment::non_empty("POSTRIDER_PROXY_AT") {
            None => Ok(Proxied { everywhere: false, addresses: Vec::new() }),
            Some(list) if list == "*" => Ok(Proxied { everywhere: true, addresses: Vec::new() }),
            Some(list) => match Address::list(&list, None) {
                Ok(addresses) => Ok(Proxied { everywhere: false, addresses }),
                Err(wrong) => Err(format!("POSTRIDER_PROXY_AT: {wrong}")),
            },
        }
    }

    /// Whether `address` is one of them.
    pub(crate) fn has(&self, address: &Address) -> bool {
        self.everywhere || self.addresses.iter().any(|one| one.covers(address))
    }
}

impl Manner {
    /// `fields`, and behind them this.
    pub(super) fn write(self, fields: Writer) -> Writer {
        fields.number(u64::from(self.implicit_tls)).number(u64::from(self.proxied))
    }

    /// The one that comes next in `fields`.
    pub(super) fn read(fields: &mut Reader<'_>) -> Result<Manner, Malformed> {
        Ok(Manner { implicit_tls: fields.flag()?, proxied: fields.flag()? })
    }
}

impl Listener {
    /// Listens at `address`, with the socket that is `open` there if there is one.
    ///
    /// # Errors
    /// A line for the log.
    pub(crate) fn open(address: Address, manner: Manner, open: &mut Sockets) -> Result<Listener, String> {
        let socket = match open.take(&address) {
            Some(socket) => socket,
            None => socket::open(&address).map_err(|why| format!("{address}: {why}"))?,
        };
        Ok(Listener::new(address, manner, false, socket))
    }

    fn new(address: Address, manner: Manner, passed: bool, socket: OwnedFd) -> Listener {
        let is_any = address.port().is_some_and(|place| place.port() == 0);
        let bound = Address::of(&socket).filter(|_| is_any).unwrap_or_else(|| address.clone());
        Listener { address, bound, manner, passed, socket }
    }

    /// `fields`, and behind them this, for another process; and the socket.
    pub(super) fn hand_over(self, fields: Writer) -> (Writer, OwnedFd) {
        let fields = self.address.write(fields).number(self.passed.into());
        (self.manner.write(fields), self.socket)
    }

    /// The one that comes next in `fields`.
    pub(super) fn handed_over(fields: &mut Reader<'_>, socket: OwnedFd) -> Result<Listener, Malformed> {
        let (address, passed) = (Address::read_from(fields)?, fields.flag()?);
        Ok(Listener::new(address, Manner::read(fields)?, passed, socket))
    }

    /// Another descriptor for the same.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn try_clone(&self) -> std::io::Result<Listener> {
        let Listener { address, bound, manner, passed, socket } = self;
        let (address, bound) = (address.clone(), bound.clone());
        Ok(Listener { address, bound, manner: *manner, passed: *passed, socket: socket.try_clone()? })
    }
}

/// A listening socket at `path` for this process's user alone.
///
/// # Errors
/// What does not work.
pub(crate) fn private(path: &Path) -> Result<OwnedFd, String> {
    socket::open(&Address::Unix { path: path.to_owned(), mode: 0o600 })
}

/// The sockets that systemd has opened for us (sd_listen_fds(3)). They are taken
/// once.
///
/// # Errors
/// A line for the log: something was passed that is no listening socket.
pub(crate) fn passed() -> Result<Vec<Listener>, String> {
    activation::passed()
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bound.fmt(f)?;
        match self.manner {
            Manner { implicit_tls: true, proxied: true } => f.write_str(", for TLS behind a proxy"),
            Manner { implicit_tls: true, .. } => f.write_str(", for TLS"),
            Manner { proxied: true, .. } => f.write_str(", behind a proxy"),
            Manner { .. } => Ok(()),
        }
    }
}
