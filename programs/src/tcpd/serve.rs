//! The loop: wait for clients and signals, start a program for each client.
//!
//! One thread, which never waits for a client, a program or the log; but for a
//! moment until the kernel has started a program, or one has copied itself.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use super::limits::{Client, Limits, Slots, Verdict};
use super::logger::Logger;
use super::notices::{self, Notices};
use super::program::{Ends, Program};

/// How long accept(2) rests after an error that would come again at once,
/// such as no descriptor left.
const REST: Duration = Duration::from_secs(1);

/// Most octets taken from a client that is turned away.
const UNREAD: usize = 64 * 1024;

/// A server ready to run.
#[derive(Debug)]
pub(super) struct Server {
    listeners: Vec<TcpListener>,
    signals: SignalFd,
    program: Program,
    logger: Option<Logger>,
    slots: Slots,
    notices: Notices,
    resting_until: Option<Instant>,
}

/// The signals we listen to, from now on blocked and read from a descriptor.
///
/// # Errors
/// What sigprocmask(2) and signalfd(2) report.
pub(super) fn signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// What a signal asks of the loop.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

impl Server {
    /// A server without connections.
    #[must_use]
    pub(super) fn new(
        listeners: Vec<TcpListener>,
        signals: SignalFd,
        program: Program,
        logger: Option<Logger>,
        limits: Limits,
    ) -> Self {
        let slots = Slots::new(limits);
        Server {
            listeners,
            signals,
            program,
            logger,
            slots,
            notices: Notices::default(),
            resting_until: None,
        }
    }

    /// Runs until SIGTERM or SIGINT, which also end all connections at once.
    ///
    /// # Errors
    /// What poll(2), read(2) on our signals or kill(2) report; none of them
    /// depends on a client.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            if ready.signals && self.handle_signals()? == Next::End {
                // Our own process group: signals() has made us deaf to it.
                kill(Pid::from_raw(0), Signal::SIGTERM)?;
                return Ok(());
            }
            for listener in ready.listeners {
                self.accept(listener);
            }
            if let Some(logger) = &mut self.logger {
                logger.revive(Instant::now());
            }
        }
    }

    /// Waits until there is something to do. With all slots taken nobody is
    /// accepted: clients wait in the kernel's queue.
    fn wait(&mut self) -> io::Result<Ready> {
        let now = Instant::now();
        let resting = self.resting_until.map(|until| until.saturating_duration_since(now));
        let resting = resting.filter(|rest| !rest.is_zero());
        let closed = resting.is_some() || self.slots.full();
        let listeners = if closed { [].as_slice() } else { self.listeners.as_slice() };
        let reviving = self.logger.as_ref().and_then(|logger| logger.due(now));

        let mut descriptors = vec![PollFd::new(&self.signals, PollFlags::IN)];
        descriptors.extend(listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        let timeout = [resting, reviving].into_iter().flatten().min().map(timespec);
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = descriptors.iter().map(|descriptor| !descriptor.revents().is_empty());
        let signals = ready.next().unwrap_or(false);
        let listeners = ready.enumerate().filter(|(_, ready)| *ready).map(|(index, _)| index).collect();
        Ok(Ready { signals, listeners })
    }

    /// Takes one client from the queue of the listener at `index`.
    fn accept(&mut self, index: usize) {
        if self.slots.full() {
            return;
        }
        match self.listeners[index].accept() {
            Ok((connection, remote)) => self.serve(connection, remote),
            Err(error) if passes(&error) => {}
            Err(error) => {
                let now = Instant::now();
                self.notices.cannot_accept(&error, now);
                self.resting_until = Some(now + REST);
            }
        }
    }

    fn serve(&mut self, connection: TcpStream, remote: SocketAddr) {
        let client = Client::from(remote.ip());
        match self.slots.verdict(client) {
            Verdict::Welcome => {}
            Verdict::AddressFull => {
                notices::address_full(client);
                return turn_away(connection);
            }
            Verdict::NetworkFull => return turn_away(connection),
        }
        let Ok(local) = connection.local_addr() else { return };
        tune(&connection);
        match self.program.start(connection, Ends { local, remote }) {
            Ok(pid) => {
                let level = self.slots.take(pid, client);
                self.notices.level(level, Instant::now());
            }
            Err(error) => notices::cannot_start(&self.program, &error),
        }
    }

    /// SIGHUP is taken note of and nothing more: there is no access file to
    /// open again yet.
    fn handle_signals(&mut self) -> io::Result<Next> {
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGTERM | Signal::SIGINT) => return Ok(Next::End),
                Some(Signal::SIGCHLD) => self.reap(),
                _ => {}
            }
        }
        Ok(Next::GoOn)
    }

    /// Frees the slots of all children that have ended. As process 1 of a
    /// container we get to see others' children too.
    fn reap(&mut self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, flags) {
            let pid = pid.as_raw().unsigned_abs();
            self.slots.free(pid);
            self.program.ended(pid);
            if let Some(logger) = &mut self.logger {
                logger.ended(pid);
            }
        }
    }
}

/// What poll(2) has found.
struct Ready {
    signals: bool,
    /// Places in the server's vector of listeners.
    listeners: Vec<usize>,
}

/// A client that vanishes is noticed some day, and small replies leave at once
/// (ledger 518). Comfort only: a client that has gone already makes it fail.
fn tune(connection: &TcpStream) {
    let _ = sockopt::set_socket_keepalive(connection, true);
    let _ = sockopt::set_tcp_nodelay(connection, true);
}

/// Closes a connection without a word. What the client has sent already is
/// taken first: closing with octets unread would reset the connection, and
/// the client could not tell being turned away from a broken network.
fn turn_away(mut connection: TcpStream) {
    let _ = connection.shutdown(Shutdown::Write);
    if connection.set_nonblocking(true).is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    for _ in 0..UNREAD / buffer.len() {
        if !matches!(connection.read(&mut buffer), Ok(1..)) {
            break;
        }
    }
}

/// Whether an error of accept(2) is about one client that has gone, so that
/// the next may be accepted at once (accept(2), "Error handling").
fn passes(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::EAGAIN
                | Errno::EINTR
                | Errno::ECONNABORTED
                | Errno::EPERM
                | Errno::EPROTO
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::ENOPROTOOPT
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::ENONET
                | Errno::EOPNOTSUPP
        )
    )
}

/// Rounded up to a millisecond, so that a wait is over when it is over.
fn timespec(duration: Duration) -> Timespec {
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{TcpListener, TcpStream};

    use rustix::net::sockopt;

    use super::{passes, tune};

    #[test]
    fn connections_are_kept_alive_and_not_delayed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tune(&connection);
        assert!(sockopt::socket_keepalive(&connection).unwrap());
        assert!(sockopt::tcp_nodelay(&connection).unwrap());
    }

    #[test]
    fn a_client_that_has_gone_passes_and_a_full_table_does_not() {
        let error = |errno: rustix::io::Errno| io::Error::from(errno);
        assert!(passes(&error(rustix::io::Errno::CONNABORTED)));
        assert!(passes(&error(rustix::io::Errno::AGAIN)));
        assert!(!passes(&error(rustix::io::Errno::MFILE)));
        assert!(!passes(&error(rustix::io::Errno::NOMEM)));
    }
}
