//! One connection: commands in, replies out of memory, as far as there is room.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::maildrop::Maildrop;

const GREETING: &[u8] = b"+OK Hello there.\r\n";
const CAPABILITIES: &[u8] = b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n";
const REFUSED: &[u8] = b"-ERR No.\r\n";

/// Most replies that go out in one call.
const PARTS: usize = 64;
/// Octets that are read at once.
const READ: usize = 4096;

/// A connection.
pub(super) struct Connection<'s> {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    arrived: Vec<u8>,
    /// Replies that have not gone; of the first one some octets may have.
    replies: VecDeque<&'s [u8]>,
    user: Option<&'s Maildrop>,
    closing: bool,
}

impl<'s> Connection<'s> {
    /// A connection that is greeted as soon as it is ready.
    pub(super) fn new(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> anyhow::Result<Connection<'s>> {
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config)).map(Box::new)).transpose()?;
        Ok(Connection {
            stream,
            tls,
            arrived: Vec::new(),
            replies: VecDeque::from([GREETING]),
            user: None,
            closing: false,
        })
    }

    /// Does what can be done without waiting; whether the connection stays.
    pub(super) fn go_on(&mut self, maildrops: &'s HashMap<String, Maildrop>) -> io::Result<bool> {
        loop {
            // Sent first: a client that does not read is not listened to.
            let all_gone = self.send()?;
            if all_gone && self.closing {
                return Ok(false);
            }
            if !all_gone {
                return Ok(true);
            }
            match self.take() {
                Ok(0) => return Ok(false),
                Ok(_) => self.answer(maildrops),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.arrived.shrink_to_fit();
                    self.replies.shrink_to_fit();
                    // A handshake may have something to say.
                    return if self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
                        self.send().map(|_| true)
                    } else {
                        Ok(true)
                    };
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self) -> io::Result<usize> {
        let mut octets = [0; READ];
        let taken = match &mut self.tls {
            None => (&self.stream).read(&mut octets),
            Some(tls) => match tls.reader().read(&mut octets) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match tls.read_tls(&mut &self.stream) {
                        Ok(0) => Ok(0),
                        result => {
                            result?;
                            tls.process_new_packets().map_err(io::Error::other)?;
                            match tls.reader().read(&mut octets) {
                                // A record, and nothing in it for us: there may be more.
                                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(1),
                                result => result,
                            }
                        }
                    }
                }
                result => result,
            },
        }?;
        self.arrived.extend_from_slice(&octets[..taken]);
        Ok(taken)
    }

    fn answer(&mut self, maildrops: &'s HashMap<String, Maildrop>) {
        let arrived = std::mem::take(&mut self.arrived);
        let mut rest = arrived.as_slice();
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let line = std::str::from_utf8(&rest[..at]).unwrap_or_default().trim_end();
            rest = &rest[at + 1..];
            let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
            let reply = self.reply(command, argument, maildrops);
            self.replies.push_back(reply);
        }
        self.arrived = rest.to_vec();
    }

    fn reply(&mut self, command: &str, argument: &str, maildrops: &'s HashMap<String, Maildrop>) -> &'s [u8] {
        match (command, self.user) {
            ("CAPA", _) => CAPABILITIES,
            ("USER", _) => {
                self.user = maildrops.get(argument);
                b"+OK Password required.\r\n"
            }
            ("PASS", Some(_)) => b"+OK logged in.\r\n",
            ("STAT", Some(maildrop)) => &maildrop.stat,
            ("LIST", Some(maildrop)) => &maildrop.list,
            ("UIDL", Some(maildrop)) => &maildrop.uidl,
            ("RETR", Some(maildrop)) => {
                argument.parse().ok().and_then(|number| maildrop.message(number)).unwrap_or(REFUSED)
            }
            ("DELE", Some(_)) => b"+OK Deleted.\r\n",
            ("NOOP", Some(_)) => b"+OK Yup.\r\n",
            ("QUIT", _) => {
                self.closing = true;
                b"+OK Bye-bye.\r\n"
            }
            _ => REFUSED,
        }
    }

    /// Sends; whether that was all.
    fn send(&mut self) -> io::Result<bool> {
        if let Some(tls) = &mut self.tls {
            return send_inside(tls, &self.stream, &mut self.replies);
        }
        while !self.replies.is_empty() {
            let mut parts = [IoSlice::new(&[]); PARTS];
            let count = self.replies.len().min(PARTS);
            for (part, reply) in parts.iter_mut().zip(&self.replies) {
                *part = IoSlice::new(reply);
            }
            match (&self.stream).write_vectored(&parts[..count]) {
                Ok(gone) => forget(&mut self.replies, gone),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

fn send_inside(
    tls: &mut ServerConnection,
    stream: &TcpStream,
    replies: &mut VecDeque<&[u8]>,
) -> io::Result<bool> {
    loop {
        while tls.wants_write() {
            match tls.write_tls(&mut &*stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if tls.is_handshaking() {
            // The greeting waits for the handshake; there is nothing else to send.
            return Ok(true);
        }
        if replies.is_empty() {
            return Ok(true);
        }
        // As much as rustls holds (64 KiB); the rest stays here.
        let mut room = true;
        while room && let Some(reply) = replies.front() {
            let taken = tls.writer().write(reply)?;
            room = taken == reply.len();
            forget(replies, taken);
        }
    }
}

/// Takes so many octets off the front.
fn forget(replies: &mut VecDeque<&[u8]>, mut gone: usize) {
    while let Some(reply) = replies.front_mut() {
        if gone < reply.len() {
            *reply = &reply[gone..];
            return;
        }
        gone -= reply.len();
        replies.pop_front();
    }
}
