//! The monitor's side of the control socket: who may ask, and who waits for
//! what.
//!
//! The socket is its owner's alone, and the kernel is asked who has connected:
//! this process's user, or root. Nobody holds up the monitor: a visitor says one
//! short line within a deadline, and hears what fits into his socket.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use authlib::printable::{printable, reason};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt::socket_peercred};

use super::super::control::{self, Answer, Request};
use super::super::listen;
use super::process::Token;
use crate::log;

/// Tokens from here on are of this room.
pub(super) const FIRST: Token = 1 << 63;
/// The listening socket's.
const DOOR: Token = FIRST;
/// Most visitors at once.
const MOST: usize = 16;
/// How long a visitor may take to say what he wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line that he may say, in octets.
const LONGEST: usize = 64;

/// The control socket and its visitors.
#[derive(Default)]
pub(super) struct Office {
    door: Option<(PathBuf, OwnedFd)>,
    /// The socket of the monitor before this one.
    inherited: Option<(PathBuf, OwnedFd)>,
    visitors: HashMap<Token, Visitor>,
    last_visitor: Token,
}

struct Visitor {
    stream: OwnedFd,
    waits: Waits,
}

/// What becomes of a visitor.
#[derive(Debug)]
enum Waits {
    /// He says what he wants, until then; what he has said so far.
    ToSpeak(Instant, Vec<u8>),
    /// The settings are to be read again, once they are not being tried.
    ForReload,
    /// The generation of this number is being tried.
    ForTrial(u64),
    /// The service is to end.
    ForTheEnd,
    /// Another monitor was started.
    ForTheSuccessor,
}

/// Who has asked for what.
pub(super) struct Asked {
    pub(super) visitor: Token,
    pub(super) uid: u32,
    pub(super) request: Request,
}

impl Office {
    /// One that is not open yet, and goes on with the socket that was `inherited`
    /// if it is to have the same path.
    pub(super) fn new(inherited: Option<(PathBuf, OwnedFd)>) -> Office {
        Office { inherited, ..Office::default() }
    }

    /// Opens the socket in `directory`, if it is not open there already.
    pub(super) fn open(&mut self, directory: &Path, epoll: &impl AsFd) {
        let path = control::path(directory);
        if self.door.as_ref().is_some_and(|(present, _)| *present == path) {
            return;
        }
        let inherited = self.inherited.take().filter(|(there, _)| *there == path);
        let opened = inherited.map_or_else(|| listen::private(&path), |(_, socket)| Ok(socket));
        let opened = opened.and_then(|socket| {
            // Told once of each visitor: where no descriptor is left for him nobody spins.
            let events = EventFlags::IN | EventFlags::ET;
            epoll::add(epoll, &socket, EventData::new_u64(DOOR), events)
                .map_err(|error| reason(&error.into()))?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => self.door = Some((path, socket)),
            Err(why) => {
                log::warning(&format_args!("{}: {why}; nobody can ask for a reload there", path.display()))
            }
        }
    }

    /// Takes what has come to `token`: visitors, or what one has said.
    pub(super) fn attend(&mut self, token: Token, epoll: &impl AsFd) -> Option<Asked> {
        if token != DOOR {
            return self.listen_to(token, epoll);
        }
        while let Some(stream) = self.knock() {
            self.let_in(stream, epoll);
        }
        None
    }

    /// The next one at the door.
    fn knock(&self) -> Option<OwnedFd> {
        let (_, door) = self.door.as_ref()?;
        accept_with(door, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok()
    }

    fn let_in(&mut self, stream: OwnedFd, epoll: &impl AsFd) {
        if !may_ask(&stream) {
            log::warning(&"somebody who may not has come to the control socket");
            say(&stream, &Err("only who runs the service and root may ask".to_owned()));
        } else if self.visitors.len() < MOST {
            self.last_visitor += 1;
            let visitor = DOOR + self.last_visitor;
            if epoll::add(epoll, &stream, EventData::new_u64(visitor), EventFlags::IN).is_ok() {
                let waits = Waits::ToSpeak(Instant::now() + PATIENCE, Vec::new());
                self.visitors.insert(visitor, Visitor { stream, waits });
            }
        }
    }

    /// Hears a visitor; what he has asked for, if he has. Then he is not listened
    /// to any more.
    fn listen_to(&mut self, token: Token, epoll: &impl AsFd) -> Option<Asked> {
        let Visitor { stream, waits: Waits::ToSpeak(_, said) } = self.visitors.get_mut(&token)? else {
            return None;
        };
        let mut buffer = [0; LONGEST];
        let heard = match recv(&*stream, &mut buffer, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => return None,
            Ok((heard, _)) if heard > 0 => heard,
            Ok(_) | Err(_) => {
                self.visitors.remove(&token);
                return None;
            }
        };
        said.extend_from_slice(&buffer[..heard]);
        let line = said.iter().position(|octet| *octet == b'\n');
        if line.is_none() && said.len() < LONGEST {
            return None;
        }
        let word = String::from_utf8_lossy(&said[..line.unwrap_or(said.len())]).into_owned();
        let uid = socket_peercred(&*stream).map(|peer| peer.uid.as_raw());
        let _it_was_watched = epoll::delete(epoll, &*stream);
        match (Request::of(&word), uid) {
            (Some(request), Ok(uid)) => Some(Asked { visitor: token, uid, request }),
            _ => {
                self.answer(token, &Err(format!("what is {}?", printable(word.as_bytes()))));
                None
            }
        }
    }

    /// Answers a visitor, who leaves.
    pub(super) fn answer(&mut self, visitor: Token, answer: &Answer) {
        if let Some(visitor) = self.visitors.remove(&visitor) {
            say(&visitor.stream, answer);
        }
    }

    /// A visitor waits until the settings have been read again.
    pub(super) fn await_reload(&mut self, visitor: Token) {
        self.keep(visitor, Waits::ForReload);
    }

    /// The same until the service has ended, of which the end of the connection
    /// tells him.
    pub(super) fn await_the_end(&mut self, visitor: Token, answer: &Answer) {
        if let Some(visitor) = self.visitors.get(&visitor) {
            say(&visitor.stream, answer);
        }
        self.keep(visitor, Waits::ForTheEnd);
    }

    /// The same until it is known whether another monitor serves.
    pub(super) fn await_the_successor(&mut self, visitor: Token) {
        self.keep(visitor, Waits::ForTheSuccessor);
    }

    /// The socket and its path, if it is open.
    pub(super) fn door(&self) -> Option<(&Path, &OwnedFd)> {
        self.door.as_ref().map(|(path, socket)| (path.as_path(), socket))
    }

    /// Lets nobody else in: another process does. Closing our descriptor alone would not
    /// end the watch.
    pub(super) fn close(&mut self, epoll: &impl AsFd) {
        if let Some((_, door)) = self.door.take() {
            let _it_was_watched = epoll::delete(epoll, &door);
        }
    }

    fn keep(&mut self, visitor: Token, waits: Waits) {
        if let Some(visitor) = self.visitors.get_mut(&visitor) {
            visitor.waits = waits;
        }
    }

    /// The generation of this number is tried for all who wait for a reload.
    pub(super) fn trial_begins(&mut self, generation: u64) {
        let waiting = self.visitors.values_mut().filter(|visitor| matches!(visitor.waits, Waits::ForReload));
        waiting.for_each(|visitor| visitor.waits = Waits::ForTrial(generation));
    }

    /// How the trial of that generation went.
    pub(super) fn trial_ends(&mut self, generation: u64, answer: &Answer) {
        self.answer_those(|waits| matches!(waits, Waits::ForTrial(number) if *number == generation), answer);
    }

    /// There will be no other trial.
    pub(super) fn no_more_trials(&mut self, answer: &Answer) {
        self.answer_those(|waits| matches!(waits, Waits::ForReload | Waits::ForTrial(_)), answer);
    }

    /// Visitors whose time is over go.
    pub(super) fn send_away_the_slow(&mut self) {
        if self.visitors.is_empty() {
            return;
        }
        let now = Instant::now();
        self.visitors.retain(|_, visitor| !matches!(visitor.waits, Waits::ToSpeak(until, _) if until <= now));
    }

    fn answer_those(&mut self, are_meant: impl Fn(&Waits) -> bool, answer: &Answer) {
        let meant = self.visitors.extract_if(|_, visitor| are_meant(&visitor.waits));
        meant.for_each(|(_, visitor)| say(&visitor.stream, answer));
    }
}

/// Whether it is this process's user who has connected, or root.
fn may_ask(stream: &OwnedFd) -> bool {
    let own = system::user::own_ids().0;
    socket_peercred(stream).is_ok_and(|peer| [0, own].contains(&peer.uid.as_raw()))
}

/// What does not fit into the socket is lost: it is for who has filled it.
fn say(stream: &OwnedFd, answer: &Answer) {
    let mut text = control::encode(answer);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let _he_may_have_gone = send(stream, text.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}
