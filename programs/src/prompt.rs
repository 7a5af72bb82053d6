//! Asking the person, or the script, on standard input.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Most octets of an answer.
const LONGEST: usize = 4096;

/// Whether what is typed appears on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    Shown,
    /// It does not; for secrets.
    Hidden,
}

/// Whether somebody sits at standard input.
#[must_use]
pub fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stdin())
}

/// The next line of standard input, without its end, or `None` if there is
/// none. On a terminal it is asked for with `prompt`, on descriptor 2.
///
/// # Errors
/// What the system reports; `InvalidData` for a line of more than 4096
/// octets; `Interrupted` if the person typed ^C.
pub fn line(prompt: &str, echo: Echo) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    if !is_terminal() {
        return read_line(|| Ok(()));
    }
    if echo == Echo::Shown {
        io::stderr().write_all(prompt.as_bytes())?;
        return read_line(|| Ok(()));
    }
    // Before the prompt: what is typed after it must neither be seen nor lost.
    let quiet = Quiet::new()?;
    io::stderr().write_all(prompt.as_bytes())?;
    let answer = read_line(|| quiet.wait());
    drop(quiet);
    io::stderr().write_all(b"\n")?;
    answer
}

/// Reads octet by octet, so that what stands behind the line is left for
/// whoever reads next. `wait` is called before each octet.
fn read_line(wait: impl Fn() -> io::Result<()>) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut octet = Zeroizing::new([0; 1]);
    loop {
        wait()?;
        match nix::unistd::read(io::stdin(), &mut octet[..]) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => return Ok(Some(line)),
            Ok(_) if octet[0] == b'\n' => return Ok(Some(line)),
            Ok(_) if line.len() == LONGEST => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            Ok(_) => line.push(octet[0]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
/// Meanwhile signals that would end the program arrive here, so that it does
/// not leave a mute terminal behind.
struct Quiet {
    before: Termios,
    signals: SignalFd,
    mask: SigSet,
}

impl Quiet {
    fn new() -> io::Result<Self> {
        let mask: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP]
                .into_iter()
                .collect();
        let before = tcgetattr(io::stdin())?;
        let mut mute = before.clone();
        mute.local_flags.remove(LocalFlags::ECHO);
        mask.thread_block()?;
        let signals = SignalFd::new(&mask)?;
        let quiet = Quiet { before, signals, mask };
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &mute)?;
        Ok(quiet)
    }

    /// Waits until there is something to read; a signal is an error.
    fn wait(&self) -> io::Result<()> {
        let input = io::stdin();
        let mut sources = [
            PollFd::new(input.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut sources, PollTimeout::NONE)?;
        if sources[1].any().unwrap_or(false) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.before);
        // Signals that came meanwhile take their effect here.
        let _ = self.mask.thread_unblock();
    }
}
