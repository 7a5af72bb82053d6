//! Listening sockets, opened.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use authlib::printable::reason;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::Address;
use crate::tcpd::listeners::{self, SOMAXCONN};

/// Listens at `address`.
///
/// # Errors
/// What does not work, and why.
pub(super) fn open(address: &Address) -> Result<OwnedFd, String> {
    match address {
        Address::Port(place) => listeners::open_one(*place, SOMAXCONN).map(OwnedFd::from),
        Address::Unix { path, mode } => listen(path, *mode).map_err(|error| reason(&error)),
    }
}

/// A UNIX socket at `path`, in place of one at which nobody listens any more.
/// Nobody sees it before it has its rights and listens.
fn listen(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    if !is_free(path)? {
        return Err(rustix::io::Errno::ADDRINUSE.into());
    }
    let unfinished = beside(path);
    if let Err(error) = fs::remove_file(&unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&unfinished)?)?;
    let finish = || {
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(mode))?;
        rustix::net::listen(&socket, SOMAXCONN)?;
        fs::rename(&unfinished, path)
    };
    finish().inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    })?;
    Ok(socket)
}

/// Whether nothing is at `path` but perhaps what a service that has ended left.
fn is_free(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => return Ok(false),
        Ok(_) => {}
    }
    // One whose queue is full says EAGAIN, and is not waited for.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let connected = rustix::net::connect(&socket, &SocketAddrUnix::new(path)?);
    Ok(connected == Err(rustix::io::Errno::CONNREFUSED))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::open;
    use crate::service::listen::Address;
    use std::fs;
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    fn at(path: &Path) -> Address {
        Address::Unix { path: path.to_owned(), mode: 0o640 }
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_replaced_and_others_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pop3");
        let first = open(&at(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(open(&at(&path)).unwrap_err(), "Address already in use");
        UnixStream::connect(&path).unwrap();
        drop(first);
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let _second = open(&at(&path)).unwrap();
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail");
        fs::write(&path, "precious").unwrap();
        assert_eq!(open(&at(&path)).unwrap_err(), "Address already in use");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let nowhere = directory.path().join("no/such");
        assert_eq!(open(&at(&nowhere)).unwrap_err(), "No such file or directory");
    }
}
