//! A fork server (ledger 344): a program that couriertcpd starts once, and that
//! serves each connection by a copy of itself. What a program does before its
//! `main`, every time the same (loading, linking, asking the processor what it
//! can), is then not done for each connection.
//!
//! ```text
//! couriertcpd ── environment, wire on descriptor 0 ──> courierpop3login, waits
//!      │ ── variables of a connection, its descriptor ──>  │
//!      │ <─── id of the copy, or why there is none ─────── │
//!      └─ parent of ──────────> copy: connection on 0 and 1, goes on as any other start
//! ```
//!
//! The copy is couriertcpd's child, not the fork server's, and finds what a
//! program that was started finds. The fork server has seen no octet of a
//! client when it makes one.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::PollFlags;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use system::sibling::{Fork, OneThread};

use crate::connection::wait;
use crate::log;
use crate::service::wire::Wire;

/// The variable that makes a program a fork server, if it is [`VERSION`].
pub(crate) const VARIABLE: &str = "POSTRIDER_FORKSERVER";

/// The way of speaking on the wire.
pub(crate) const VERSION: &str = "version 1";

/// What a line of the log begins with; and, since no program can say it that
/// is not able to be a fork server, what [`is_able`] looks for.
const MARK: &str = "POSTRIDER_FORKSERVER, version 1";

/// Waits for a connection, if this process was started as a fork server: then
/// this returns in the copy that serves it, and in no other process.
///
/// # Errors
/// The exit status of the fork server, when couriertcpd needs it no more.
pub(crate) fn await_connection() -> Result<(), ExitCode> {
    if std::env::var_os(VARIABLE).is_none_or(|value| value != VERSION) {
        return Ok(());
    }
    let is_wire = socket_type(rustix::stdio::stdin()).is_ok_and(|kind| kind == SocketType::SEQPACKET);
    let Some(descriptor) = is_wire.then(|| system::descriptor::inherited(0)).flatten() else {
        return Ok(());
    };
    serve(Wire::of(descriptor)).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ExitCode::SUCCESS,
        _ => {
            log::error(&format_args!("{MARK}: {}", reason(&error)));
            ExitCode::FAILURE
        }
    })
}

fn serve(wire: Wire) -> io::Result<()> {
    let alone = OneThread::look()?;
    alone.set_variable(OsStr::new(VARIABLE), None);
    loop {
        let eternity = Instant::now() + Duration::from_secs(3600);
        if !wait(wire.as_fd(), PollFlags::IN, eternity)? {
            continue;
        }
        let Some(received) = wire.receive()? else { continue };
        let Some(connection) = received.descriptor else {
            answer(&wire, Err(&io::Error::from(rustix::io::Errno::MFILE)))?;
            continue;
        };
        match alone.fork_sibling() {
            Ok(Fork::Copy) => return become_copy(&alone, wire, connection, &received.message),
            Ok(Fork::Original(pid)) => answer(&wire, Ok(pid))?,
            Err(error) => answer(&wire, Err(&error))?,
        }
    }
}

/// Makes this process what it would be if it had been started for `connection`.
fn become_copy(alone: &OneThread, wire: Wire, connection: OwnedFd, variables: &[u8]) -> io::Result<()> {
    // The connection takes its place.
    let _replaced = wire.into_descriptor().into_raw_fd();
    system::descriptor::place(connection.try_clone()?, 0)?;
    system::descriptor::place(connection, 1)?;
    for variable in variables.split(|octet| *octet == 0) {
        if let Some(equals) = variable.iter().position(|octet| *octet == b'=').filter(|at| *at > 0) {
            let (name, value) = (&variable[..equals], &variable[equals + 1..]);
            alone.set_variable(OsStr::from_bytes(name), Some(OsStr::from_bytes(value)));
        }
    }
    Ok(())
}

/// The id of a copy, or the negative number of an error.
fn answer(wire: &Wire, copy: Result<u32, &io::Error>) -> io::Result<()> {
    let number = match copy {
        Ok(pid) => i64::from(pid),
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(nix::libc::EAGAIN)),
    };
    // There is room: couriertcpd asks for one copy at a time.
    wire.send(&number.to_ne_bytes(), None).map(drop)
}

/// Whether the program with these octets in its file can be a fork server.
pub(crate) fn is_able(program: &[u8]) -> bool {
    // Put together here: couriertcpd's own file has no mark.
    let mark = [VARIABLE, VERSION].join(", ");
    program.windows(mark.len()).any(|octets| octets == mark.as_bytes())
}

/// The id of a copy, from an answer.
///
/// # Errors
/// There is no copy.
pub(crate) fn copy_of(answer: &[u8]) -> io::Result<u32> {
    let number = answer.try_into().map(i64::from_ne_bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    match u32::try_from(number) {
        Ok(pid @ 1..) => Ok(pid),
        _ => Err(io::Error::from_raw_os_error(i32::try_from(-number).unwrap_or(nix::libc::EIO))),
    }
}

#[cfg(test)]
mod tests {
    use super::{MARK, answer, copy_of, is_able};
    use crate::service::wire::Wire;
    use std::io;

    #[test]
    fn who_has_the_mark_is_able() {
        assert!(is_able(format!("\x7fELF {MARK}: ").as_bytes()));
        assert!(!is_able(b"\x7fELF"));
    }

    #[test]
    fn an_answer_is_a_process_or_an_error() {
        let (one, other) = Wire::pair().unwrap();
        let said = |copy: Result<u32, &io::Error>| {
            answer(&one, copy).unwrap();
            copy_of(&other.receive().unwrap().unwrap().message)
        };
        assert_eq!(said(Ok(77)).unwrap(), 77);
        assert_eq!(said(Err(&io::Error::from_raw_os_error(12))).unwrap_err().raw_os_error(), Some(12));
        for nonsense in [&[][..], &[0; 8], &[1; 9]] {
            assert!(copy_of(nonsense).is_err());
        }
    }
}
