//! Every tunnel of a front, and until when those are kept whose inner side has
//! ended.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::tunnel::{Ready, Tunnel};

/// Marks the token of a tunnel's inner socket; that to the network keeps its
/// client's.
const INNER: u64 = 1 << 63;

/// How long a client may take to hear the last that is said to it, as long as
/// a mailbox process waits for one that does not read.
const LAST_WORDS: Duration = Duration::from_secs(600);

/// The tunnels, by the tokens of their clients.
#[derive(Default)]
pub(super) struct Tunnels {
    all: HashMap<u64, Tunnel>,
    /// Those whose inner side has ended. All get the same time, so the first
    /// one's is over first.
    ending: VecDeque<(Instant, u64)>,
}

/// The client whose tunnel has the inner socket with `token`, if one has.
pub(super) fn client_of(token: u64) -> Option<u64> {
    (token & INNER != 0).then_some(token & !INNER)
}

impl Tunnels {
    /// Adds the tunnel of the client `token`.
    pub(super) fn add(&mut self, token: u64, tunnel: Tunnel) {
        self.all.insert(token, tunnel);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Passes on what the tunnel of the client `token` has where it is `ready`, and
    /// ends it if it is over.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports; the tunnel has ended.
    pub(super) fn pump(&mut self, token: u64, ready: Ready, epoll: &OwnedFd) -> io::Result<()> {
        let Some(tunnel) = self.all.get_mut(&token) else { return Ok(()) };
        let was_ending = tunnel.has_said_all();
        // One that fails has lost its client, or speaks no TLS with it.
        let watched = match tunnel.pump(ready) {
            Ok(true) => watch(tunnel, token, epoll),
            Ok(false) | Err(_) => {
                self.end(token);
                return Ok(());
            }
        };
        if tunnel.has_said_all() && !was_ending {
            self.ending.push_back((Instant::now() + LAST_WORDS, token));
        }
        watched.inspect_err(|_| self.end(token))
    }

    /// Ends those that have had time enough `now`.
    pub(super) fn end_the_slow(&mut self, now: Instant) {
        while let Some(&(deadline, token)) = self.ending.front()
            && deadline <= now
        {
            self.ending.pop_front();
            self.end(token);
        }
    }

    fn end(&mut self, token: u64) {
        if let Some(tunnel) = self.all.remove(&token) {
            tunnel.close();
        }
    }
}

fn watch(tunnel: &mut Tunnel, token: u64, epoll: &OwnedFd) -> io::Result<()> {
    let (network, inner) = tunnel.interests();
    tunnel.network.watch(network, token, epoll)?;
    tunnel.inner.watch(inner, token | INNER, epoll)
}
