//! Sockets that systemd has opened (sd_listen_fds(3)): descriptors from 3 on,
//! and three variables that say so.

use std::env;
use std::os::fd::{OwnedFd, RawFd};

use authlib::printable::reason;
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use super::{Address, Listener, Manner};

/// The first descriptor.
const FIRST: RawFd = 3;
/// Most of them.
const MOST: RawFd = 1024;

/// Takes them.
///
/// # Errors
/// One is no listening socket.
pub(super) fn passed() -> Result<Vec<Listener>, String> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok());
    let Some(count) = count.filter(|count| *count <= MOST) else {
        return Err("LISTEN_FDS is no number of descriptors".to_owned());
    };
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').chain(std::iter::repeat(""));
    (FIRST..FIRST + count).zip(names).map(|(descriptor, name)| take(descriptor, manner(name))).collect()
}

/// A name tells by its words how clients begin there, `tls` or `pop3s` and `proxy`, in
/// any order. Without one it is the name of a unit, such as
/// `postrider-tls.socket`.
fn manner(name: &str) -> Manner {
    let has =
        |wanted: &str| name.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == wanted);
    Manner { implicit_tls: has("tls") || has("pop3s"), proxied: has("proxy") }
}

fn take(descriptor: RawFd, manner: Manner) -> Result<Listener, String> {
    let wrong = || format!("LISTEN_FDS: descriptor {descriptor} is no listening socket for streams");
    let socket = system::descriptor::inherited(descriptor).ok_or_else(wrong)?;
    let listens = socket_acceptconn(&socket).unwrap_or(false);
    if !listens || socket_type(&socket) != Ok(SocketType::STREAM) {
        return Err(wrong());
    }
    let address = Address::of(&socket).ok_or_else(wrong)?;
    ours(&socket).map_err(|error| format!("{address}: {}", reason(&error.into())))?;
    Ok(Listener { bound: address.clone(), address, manner, passed: true, socket })
}

/// As sockets are that we open: they never block, and programs that we start
/// do not find them.
fn ours(socket: &OwnedFd) -> rustix::io::Result<()> {
    fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(socket, true)
}

#[cfg(test)]
mod tests {
    use super::{Manner, manner};

    #[test]
    fn a_name_says_how_clients_begin() {
        let tls = Manner { implicit_tls: true, proxied: false };
        let both = Manner { implicit_tls: true, proxied: true };
        for (name, expected) in [
            ("", Manner::default()),
            ("postrider.socket", Manner::default()),
            ("postrider-tls.socket", tls),
            ("pop3s", tls),
            ("atlas", Manner::default()),
            ("proxy-tls", both),
            ("proxy", Manner { implicit_tls: false, proxied: true }),
        ] {
            assert_eq!(manner(name), expected, "{name}");
        }
    }
}
