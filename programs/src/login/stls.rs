//! STLS by Courier's own couriertls (reference couriertcpd.md 14): it keeps the
//! client's socket, and we go on with one end of a socket pair.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::connection::wait;
use crate::log::Harmless;

/// What the programs that follow learn about it (reference wire.md 7).
pub(super) const ENVIRONMENT: [(&str, &str); 3] =
    [("POP3_TLS", "1"), ("POP3_STARTTLS", "NO"), ("POP3_TLS_REQUIRED", "0")];

/// Most octets of couriertls's explanation that are read.
const EXPLANATION: u64 = 512;

/// Most octets of what it prints of the client's certificate that are read.
const CERTIFICATE: usize = 16 * 1024;

/// Has `program` shake hands with the client; afterwards descriptors 0 and 1
/// speak clear text with it. Gives what it prints of the client's certificate.
///
/// # Errors
/// If it cannot be started, says that the handshake failed, or has not said
/// anything by `deadline`. Descriptors 0 and 1 are the client's still, and
/// nothing sensible can be said on them.
pub(super) fn start(program: &Path, deadline: Instant) -> io::Result<Vec<u8>> {
    let (ours, local) = UnixStream::pair()?;
    let (status, status_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (certificate, certificate_writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let local = OwnedFd::from(local);
    for descriptor in [&local, &status_writer, &certificate_writer] {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    let mut command = Command::new(program);
    command
        .args(["-server", "-tcpd"])
        .arg(format!("-localfd={}", local.as_raw_fd()))
        .arg(format!("-statusfd={}", status_writer.as_raw_fd()))
        .arg(format!("-printx509={}", certificate_writer.as_raw_fd()));
    system::detached::spawn(&mut command)?;
    // Ours must be closed, else the end of theirs is never seen.
    drop((local, status_writer, certificate_writer));
    await_success(status, deadline)?;
    let printed = read_to_end(certificate, deadline)?;
    let ours = OwnedFd::from(ours);
    system::descriptor::place(ours.try_clone()?, 0)?;
    system::descriptor::place(ours, 1)?;
    Ok(printed)
}

/// What is written into a pipe until it is closed.
fn read_to_end(pipe: OwnedFd, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut pipe = File::from(pipe);
    let (mut printed, mut buffer) = (Vec::new(), [0; 4096]);
    while printed.len() < CERTIFICATE {
        if !wait(pipe.as_fd(), PollFlags::IN, deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(printed),
            octets => printed.extend_from_slice(&buffer[..octets]),
        }
    }
    Err(io::Error::other("the client's certificate is too large"))
}

/// Success is the end of the status without a word.
fn await_success(status: OwnedFd, deadline: Instant) -> io::Result<()> {
    if !wait(status.as_fd(), PollFlags::IN, deadline)? {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut explanation = Vec::new();
    File::from(status).take(EXPLANATION).read_to_end(&mut explanation)?;
    if explanation.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(Harmless(explanation.trim_ascii()).to_string()))
}
