//! What becomes of the words of a client, and of the answers about it.

use std::io;
use std::os::fd::AsFd;

use authlib::printable::reason;
use authlib::protocol::request;
use authlib::scram::Salt;
use authlib::{Client as Asker, Record};
use pop3::reply;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::Front;
use super::client::State;
use super::tls::Opening;
use super::tunnel::Ready;
use crate::log::{self, Peer};
use crate::login::conversation::Next;
use crate::mailbox::Client as _;
use crate::service::guest::Origin;
use crate::service::question::{Answer, Question};
use crate::service::stream::Stream;
use crate::service::ticket::{self, Refusal, Shown};
use crate::service::wire::Wire;

impl Front {
    pub(super) fn hear_client(&mut self, token: u64, flags: EventFlags) {
        let Some(client) = self.clients.get(token) else { return self.pump(token, Ready::Network) };
        // While somebody else is asked nothing is read; that a client has gone is
        // heard all the same.
        let has_gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if (has_gone && !client.is_waited_for() && !client.is_announced())
            || (client.is_talking() && !client.take_arrived())
        {
            return self.close(token);
        }
        if client.is_to_be_silent() && client.waits_for == EventFlags::IN {
            return self.wait_for(token, EventFlags::empty());
        }
        self.go_on(token);
    }

    /// Lets a conversation go on until it has to wait.
    pub(super) fn go_on(&mut self, token: u64) {
        loop {
            let Some(client) = self.clients.get(token) else { return };
            match client.send() {
                Ok(true) => {}
                Ok(false) => return self.wait_for(token, EventFlags::OUT),
                Err(_) => return self.close(token),
            }
            match client.state {
                State::Announced { .. } => return self.hear_proxy(token),
                State::ShakingHands => return self.shake(token),
                State::Talking => match client.next_line() {
                    Some(next) => self.obey(token, next),
                    None if client.transport.holds_more() => {
                        if !client.take_arrived() {
                            return self.close(token);
                        }
                    }
                    None => {
                        client.rest();
                        return self.wait_for(token, EventFlags::IN);
                    }
                },
                State::Entering(ticket) => return self.show(token, ticket),
                State::Closing => return self.close(token),
                // What it says meanwhile is left where it is: see `hear_client`.
                State::Asking | State::Failed if client.waits_for == EventFlags::IN => return,
                State::Asking | State::Failed => return self.wait_for(token, EventFlags::empty()),
            }
        }
    }

    pub(super) fn obey(&mut self, token: u64, next: Next) {
        let Some(client) = self.clients.get(token) else { return };
        match next {
            Next::Line => {}
            Next::Ask(record) => self.ask(token, Ok(record)),
            Next::AskSalt(wanted) => {
                let record = Record::salt(client.service(), &wanted);
                self.ask(token, record);
            }
            Next::Enter => client.enter(),
            Next::Wait => {
                let until = client.failed();
                self.clients.set_deadline(token, until);
            }
            Next::StartTls => self.begin_tls(token, Opening::Stls),
            Next::Close(_) => client.state = State::Closing,
        }
    }

    pub(super) fn ask(&mut self, token: u64, record: Result<Record, authlib::record::Refused>) {
        let Some(client) = self.clients.get(token) else { return };
        client.state = State::Asking;
        let sent = record.ok().zip(Asker::at(client.ip().as_bytes()).ok()).and_then(|(record, asker)| {
            let request = request::auth(&record, &asker);
            let (origin, utf8) = (client.origin(), client.utf8());
            let question = Question { connection: token, origin, utf8, request };
            Some(self.auth.as_ref()?.send(&question.encode(), None))
        });
        if !matches!(sent, Some(Ok(true))) {
            log::authentication_error(&"auth cannot be asked");
            self.answered(token, &Answer::Unavailable);
        }
    }

    /// Takes one answer. If there are more, epoll_wait(2) says so at once, which
    /// costs no more than to ask whether there are.
    pub(super) fn hear_auth(&mut self) -> io::Result<()> {
        match self.auth.as_ref().map(Wire::receive) {
            Some(Ok(Some(received))) => {
                let (token, answer) = Answer::decode(&received.message).map_err(io::Error::other)?;
                self.answered(token, &answer);
                self.go_on(token);
            }
            Some(Ok(None)) | None => {}
            Some(Err(_)) => self.auth_has_gone(),
        }
        Ok(())
    }

    /// Nobody answers what it was asked. The monitor sends a wire to another one.
    fn auth_has_gone(&mut self) {
        self.auth = None;
        for token in self.clients.tokens() {
            if self.clients.get(token).is_some_and(|client| client.state == State::Asking) {
                self.answered(token, &Answer::Unavailable);
                self.go_on(token);
            }
        }
    }

    pub(super) fn answered(&mut self, token: u64, answer: &Answer) {
        let Some(client) = self.clients.get(token) else { return };
        if !matches!(client.state, State::Asking) {
            return log::error(&"auth has answered what nobody has asked");
        }
        client.state = State::Talking;
        let next = match answer {
            Answer::Accepted { ticket, signature } => client.accepted(*ticket, signature.as_deref()),
            Answer::Rejected => client.rejected(),
            Answer::Unavailable => client.cannot_tell(),
            Answer::Salt(None) => client.salt(None),
            Answer::Salt(Some(text)) => match Salt::decode(text) {
                Some(salt) => client.salt(Some(&salt)),
                None => client.cannot_tell(),
            },
        };
        self.obey(token, next);
    }

    /// Shows the monitor a ticket, and the client's descriptor with it. From here
    /// on it is the monitor that counts the client, and we forget it. For a moment
    /// nobody counts it, which is better than twice: that might keep the same
    /// client's next one out.
    pub(super) fn show(&mut self, token: u64, ticket: ticket::Number) {
        let ends = match self.ends_for_tunnel(token) {
            Ok(ends) => ends,
            Err(error) => return self.cannot_show(token, &error),
        };
        let Some(mut client) = self.clients.remove(token) else { return };
        client.place = None;
        let origin = client.origin();
        let shown = Shown { ticket, origin, utf8: client.utf8(), arrived: client.take_rest() };
        let is_watched = client.is_watched;
        match (client.transport.into_parts(), ends) {
            ((network, Some(session)), Some((inner, outer))) => {
                self.hand_over(&shown, outer);
                self.lay_tunnel(token, network, inner, session);
            }
            ((stream, _), _) => match is_watched.then(|| epoll::delete(&self.epoll, &stream)) {
                None | Some(Ok(())) => self.hand_over(&shown, stream),
                Some(Err(error)) => {
                    log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
                    refused(Refusal::Unavailable, &shown.origin, Some(stream));
                }
            },
        }
    }

    fn hand_over(&self, shown: &Shown, stream: Stream) {
        if !matches!(self.monitor.send(&shown.encode(), Some(stream.as_fd())), Ok(true)) {
            log::error(&"the monitor does not take a ticket");
            refused(Refusal::Unavailable, &shown.origin, Some(stream));
        }
    }

    /// The machine is short of something, and a client that was accepted hears so.
    fn cannot_show(&mut self, token: u64, error: &io::Error) {
        log::error(&format_args!("socketpair: {}", reason(error)));
        if let Some(client) = self.clients.get(token) {
            client.say(reply::TEMPORARY_PROBLEM);
            client.state = State::Closing;
            self.go_on(token);
        }
    }

    /// Has the kernel wait for `events`, if that is not what it does already.
    pub(super) fn wait_for(&mut self, token: u64, events: EventFlags) {
        let Some(client) = self.clients.get(token) else { return };
        let data = EventData::new_u64(token);
        let watched = match client.is_watched {
            true if client.waits_for == events => return,
            true => epoll::modify(&self.epoll, &client.transport.stream, data, events),
            false => epoll::add(&self.epoll, &client.transport.stream, data, events),
        };
        (client.is_watched, client.waits_for) = (true, events);
        if let Err(error) = watched {
            log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
            self.close(token);
        }
    }

    /// A client's penalty is over, or its time.
    pub(super) fn time_is_up(&mut self, token: u64) {
        let Some(client) = self.clients.get(token) else { return };
        if client.told() {
            let end = client.login_ends();
            self.clients.set_deadline(token, end);
            self.go_on(token);
        } else {
            match client.state {
                State::Announced { .. } => log::proxy_failed(&"timeout", client.peer()),
                State::ShakingHands => log::handshake_failed(&"timeout", client.peer()),
                _ => {}
            }
            self.close(token);
        }
    }

    pub(super) fn close(&mut self, token: u64) {
        if let Some(client) = self.clients.remove(token) {
            client.close();
        }
    }
}

/// Nobody is let in with a ticket: the client at `origin` hears so, and goes.
pub(super) fn refused(refusal: Refusal, origin: &Origin, stream: Option<Stream>) {
    if let Some(stream) = stream {
        let mut out = Vec::new();
        reply::put(
            match refusal {
                Refusal::InUse => reply::TOO_MANY_SESSIONS,
                Refusal::Unavailable => reply::TEMPORARY_PROBLEM,
            },
            &mut out,
        );
        // It has taken all that was said to it, so there is room for a line.
        let _it_has_gone = stream.give(&out);
        stream.forget_arrived();
        stream.close();
    }
    log::disconnected(&Peer::at(&origin.ip, &origin.port));
}
