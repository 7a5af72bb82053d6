//! The socket: everybody may connect who may enter its directory.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use authlib::exclusive::directory_of;

use crate::log;

/// How many connections may wait for accept(2); the kernel bounds it again.
const BACKLOG: i32 = 4096;

/// Listens on `socket`. Until it takes the place of an old one, in one step,
/// that one goes on.
///
/// # Errors
/// What the system reports.
pub(super) fn listen(socket: &Path) -> io::Result<UnixListener> {
    make_directory(socket)?;
    let temporary = socket.with_extension("tmp");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&temporary)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o777))?;
    fs::rename(&temporary, socket)?;
    warn_if_open(socket);
    Ok(listener)
}

/// Makes the directory of `socket`, for its owner and group only, if it is
/// not there.
///
/// # Errors
/// What the system reports.
pub(super) fn make_directory(socket: &Path) -> io::Result<()> {
    let directory = directory_of(socket);
    match DirBuilder::new().mode(0o750).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Answers hold hashes and passwords.
fn warn_if_open(socket: &Path) {
    let directory = directory_of(socket);
    if fs::metadata(directory).is_ok_and(|status| status.permissions().mode() & 0o001 != 0) {
        log::warning(&format_args!("{}: every user of this machine may ask here", directory.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::listen;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_new_socket_takes_the_place_of_an_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/socket");
        let old = listen(&socket).unwrap();
        std::fs::write(socket.with_extension("tmp"), "left over").unwrap();
        let new = listen(&socket).unwrap();
        let _client = UnixStream::connect(&socket).unwrap();
        assert!(new.accept().is_ok() && old.accept().is_err());
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o777, 0o750));
    }
}
