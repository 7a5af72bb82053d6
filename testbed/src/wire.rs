//! What a client holds of a session: a place to write octets and one to read
//! them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::PATIENCE;
use crate::process::Running;

/// The client's end of a session.
pub trait Wire {
    /// Sends `octets` in one write. That the server has closed is no error
    /// here: the next [`Wire::receive`] shows it.
    ///
    /// # Errors
    /// What the kernel reports, or that nobody reads for a long time.
    fn send(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Closes the sending side.
    ///
    /// # Errors
    /// What the kernel reports.
    fn finish(&mut self) -> io::Result<()>;

    /// Waits for octets; none at the end of the session.
    ///
    /// # Errors
    /// What the kernel reports, or that nothing comes for a long time.
    fn receive(&mut self) -> io::Result<Vec<u8>>;
}

impl<W: Wire + ?Sized> Wire for Box<W> {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        (**self).send(octets)
    }

    fn finish(&mut self) -> io::Result<()> {
        (**self).finish()
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        (**self).receive()
    }
}

macro_rules! socket {
    ($stream:ty) => {
        impl Wire for $stream {
            fn send(&mut self, octets: &[u8]) -> io::Result<()> {
                self.set_write_timeout(Some(PATIENCE))?;
                unless_closed(self.write_all(octets)).map(drop)
            }

            fn finish(&mut self) -> io::Result<()> {
                unless_closed(self.shutdown(Shutdown::Write)).map(drop)
            }

            fn receive(&mut self) -> io::Result<Vec<u8>> {
                self.set_read_timeout(Some(PATIENCE))?;
                receive_from(self)
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

/// A program that speaks on its standard input and output.
#[derive(Debug)]
pub struct Pipes {
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// Last, so that the pipes are closed before the program is ended.
    program: Running,
}

impl Pipes {
    /// Starts `command` with pipes at its standard input and output.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Pipes> {
        let mut program = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let input = program.child().stdin.take();
        let output = program.child().stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        Ok(Pipes { input, output, program })
    }

    /// The program's process id.
    pub fn id(&mut self) -> u32 {
        self.program.child().id()
    }
}

impl Wire for Pipes {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.input {
            Some(input) => unless_closed(input.write_all(octets)).map(drop),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.input = None;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut waiting = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).map_err(io::Error::other)?;
        if uninterrupted(|| Ok(poll(&mut waiting, patience)?))? == 0 {
            return Err(ErrorKind::TimedOut.into());
        }
        receive_from(&mut self.output)
    }
}

fn receive_from(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; 64 * 1024];
    let received = unless_closed(uninterrupted(|| source.read(&mut octets)))?.unwrap_or(0);
    octets.truncate(received);
    Ok(octets)
}

/// Tries again whenever a signal, or a machine that was stopped for a while,
/// has interrupted a wait.
fn uninterrupted<T>(mut wait: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Takes the errors that only say that the other side has closed for an end.
fn unless_closed<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected => Ok(None),
            _ => Err(error),
        },
    }
}
