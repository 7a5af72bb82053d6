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
use crate::log;
use crate::login::conversation::Next;
use crate::service::question::{Answer, Question};
use crate::service::ticket::{self, Admission, Shown};

impl Front {
    pub(super) fn hear_client(&mut self, token: u64, flags: EventFlags) {
        let Some(client) = self.clients.get(token) else { return };
        // While somebody else is asked nothing is read; that a client has gone is
        // heard all the same.
        let has_gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if (has_gone && !client.is_waited_for() && !client.is_announced())
            || (client.is_talking() && !client.take_arrived())
        {
            return self.close(token);
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
                    None => {
                        client.rest();
                        return self.wait_for(token, EventFlags::IN);
                    }
                },
                State::Entering(ticket) => return self.show(token, ticket),
                State::Closing => return self.close(token),
                State::Asking | State::Failed | State::Admitting => {
                    return self.wait_for(token, EventFlags::empty());
                }
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
            Next::StartTls => self.begin_tls(token),
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

    pub(super) fn hear_auth(&mut self) -> io::Result<()> {
        while let Some(auth) = &self.auth {
            match auth.receive() {
                Ok(Some(received)) => {
                    let (token, answer) = Answer::decode(&received.message).map_err(io::Error::other)?;
                    self.answered(token, &answer);
                    self.go_on(token);
                }
                Ok(None) => return Ok(()),
                Err(_) => self.auth_has_gone(),
            }
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

    /// Shows the monitor a ticket, and the client's descriptor with it.
    pub(super) fn show(&mut self, token: u64, ticket: ticket::Number) {
        let Some(client) = self.clients.get(token) else { return };
        client.state = State::Admitting;
        // From here on the monitor counts it. For a moment nobody does, which is
        // better than twice: that might keep the same client's next one out.
        client.place = None;
        let shown = Shown {
            connection: token,
            ticket,
            origin: client.origin(),
            utf8: client.utf8(),
            arrived: client.take_rest(),
        };
        if epoll::delete(&self.epoll, &client.stream).is_err()
            || !matches!(self.monitor.send(&shown.encode(), Some(client.stream.as_fd())), Ok(true))
        {
            log::error(&"the monitor does not take a ticket");
            self.admitted(token, Admission::Unavailable);
        }
    }

    pub(super) fn admitted(&mut self, token: u64, admission: Admission) {
        match admission {
            // The mailbox process has the descriptor now.
            Admission::Granted => drop(self.clients.remove(token)),
            Admission::Unavailable | Admission::InUse => {
                if let Some(client) = self.clients.get(token) {
                    match admission {
                        Admission::InUse => client.say(reply::TOO_MANY_SESSIONS),
                        _ => drop(client.cannot_tell()),
                    }
                    client.state = State::Closing;
                    // Not watched any more, so this is the only try.
                    let _ = client.send();
                }
                self.close(token);
            }
        }
    }

    /// Has the kernel wait for `events`, if that is not what it does already.
    pub(super) fn wait_for(&mut self, token: u64, events: EventFlags) {
        let Some(client) = self.clients.get(token) else { return };
        if std::mem::replace(&mut client.waits_for, events) == events {
            return;
        }
        if let Err(error) = epoll::modify(&self.epoll, &client.stream, EventData::new_u64(token), events) {
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
