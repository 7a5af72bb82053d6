//! Logins at back-ends: what auth has postrider-proxy do, and how a client gets
//! to the session that came of it.
//!
//! ```text
//!   auth ──Errand──> postrider-proxy ──USER, PASS──> back-end
//!        <──Outcome──    │
//!   monitor ──Visitor, the client's descriptor──>    octets go both ways
//! ```
//!
//! An errand has the number of the ticket that its client will be issued, so
//! the monitor sees no password, and the front neither account nor back-end.

use authlib::Secret;
use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};
use super::guest::Origin;
use super::ticket::Number;
use crate::proxy::{Login, Master};

/// auth has somebody logged in at a back-end.
#[derive(Debug)]
pub(crate) struct Errand {
    /// The number of the ticket.
    pub(crate) number: Number,
    /// Where to.
    pub(crate) task: Task,
}

/// What becomes of a client whose credentials were good.
#[derive(Debug)]
pub(crate) enum Task {
    /// Its session is on a back-end. An [`Outcome`] is waited for.
    Connect(Connect),
    /// It is told that its account may not be used so; whether that is for want
    /// of TLS.
    Refuse {
        /// The option `disableinsecurepop3`, and not `disablepop3`.
        insecure: bool,
    },
}

/// A login at a back-end.
#[derive(Debug)]
pub(crate) struct Connect {
    /// Name or address of the back-end.
    pub(crate) host: String,
    /// The account's address, which is its name there.
    pub(crate) account: Vec<u8>,
    /// By what we are to be let in.
    pub(crate) login: Login,
    /// Where the client is.
    pub(crate) origin: Origin,
    /// Whether it has said UTF8.
    pub(crate) utf8: bool,
}

/// What came of an errand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The session has begun and waits for its client.
    LoggedIn,
    /// The back-end does not take the client's password.
    Rejected,
    /// There is no session, through no fault of the client's.
    Unavailable,
}

/// A client whose ticket is an errand's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// Names the session between monitor and postrider-proxy.
    pub(crate) session: u64,
    /// The ticket.
    pub(crate) ticket: Number,
    /// What the client has said behind its login, and nobody has answered.
    pub(crate) arrived: Vec<u8>,
}

const CONNECT: u8 = b'C';
const REFUSE: u8 = b'R';
const OUTCOME: u8 = b'O';
const VISITOR: u8 = b'V';

const PASSWORD: u64 = 0;
const MASTER: u64 = 1;
const EXTERNAL: u64 = 2;

impl Errand {
    /// The message.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        match &self.task {
            Task::Refuse { insecure } => {
                Writer::new(REFUSE).octets(&self.number).number(u64::from(*insecure)).message()
            }
            Task::Connect(Connect { host, account, login, origin, utf8 }) => {
                let fields =
                    Writer::new(CONNECT).octets(&self.number).octets(host.as_bytes()).octets(account);
                let fields = match login {
                    Login::Password(password) => fields.number(PASSWORD).octets(password.expose()),
                    Login::Master(master) => {
                        fields.number(MASTER).octets(&master.user).octets(master.password.expose())
                    }
                    Login::External => fields.number(EXTERNAL),
                };
                origin.write(fields).number(u64::from(*utf8)).message()
            }
        }
    }

    /// What `message` says.
    pub(super) fn decode(message: &[u8]) -> Result<Errand, Malformed> {
        let (kind, mut fields) = Reader::new(message)?;
        let number = number(&mut fields)?;
        let task = match kind {
            REFUSE => Task::Refuse { insecure: fields.flag()? },
            CONNECT => Task::Connect(Connect {
                host: fields.text()?,
                account: fields.octets()?.to_vec(),
                login: login(&mut fields)?,
                origin: Origin::read(&mut fields)?,
                utf8: fields.flag()?,
            }),
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok(Errand { number, task })
    }
}

fn login(fields: &mut Reader<'_>) -> Result<Login, Malformed> {
    Ok(match fields.number()? {
        PASSWORD => Login::Password(Secret::copy_of(fields.octets()?)),
        MASTER => {
            let user = fields.octets()?.to_vec();
            Login::Master(Master { user, password: Secret::copy_of(fields.octets()?) })
        }
        EXTERNAL => Login::External,
        _ => return Err(Malformed),
    })
}

impl Outcome {
    /// The message about the errand `number`.
    pub(super) fn encode(self, number: &Number) -> Zeroizing<Vec<u8>> {
        let outcome = match self {
            Outcome::LoggedIn => 0,
            Outcome::Rejected => 1,
            Outcome::Unavailable => 2,
        };
        Writer::new(OUTCOME).octets(number).number(outcome).message()
    }

    /// About which errand `message` is, and what it says.
    pub(super) fn decode(message: &[u8]) -> Result<(Number, Outcome), Malformed> {
        let (OUTCOME, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let number = number(&mut fields)?;
        let outcome = match fields.number()? {
            0 => Outcome::LoggedIn,
            1 => Outcome::Rejected,
            2 => Outcome::Unavailable,
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok((number, outcome))
    }
}

impl Visitor {
    /// The message.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(VISITOR).octets(&self.ticket).number(self.session).octets(&self.arrived).message()
    }

    /// What `message` says.
    pub(super) fn decode(message: &[u8]) -> Result<Visitor, Malformed> {
        let (VISITOR, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let ticket = number(&mut fields)?;
        let visitor = Visitor { ticket, session: fields.number()?, arrived: fields.octets()?.to_vec() };
        fields.end()?;
        Ok(visitor)
    }
}

fn number(fields: &mut Reader<'_>) -> Result<Number, Malformed> {
    fields.octets()?.try_into().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Connect, Errand, Outcome, Task, Visitor};
    use crate::proxy::{Login, Master};
    use crate::service::guest::Origin;
    use authlib::Secret;
    use proptest::prelude::*;

    fn errand(login: Login) -> Errand {
        let origin = Origin { ip: "::1".into(), port: "1".into(), tls: true };
        let connect = Connect { host: "mx".into(), account: b"alice".to_vec(), login, origin, utf8: true };
        Errand { number: [7; 16], task: Task::Connect(connect) }
    }

    #[test]
    fn messages_arrive_as_they_left() {
        let master = Master { user: b"proxy".to_vec(), password: Secret::copy_of(b"x") };
        let logins = [Login::Password(Secret::copy_of(b"secret")), Login::Master(master), Login::External];
        let refusals =
            [true, false].map(|insecure| Errand { number: [1; 16], task: Task::Refuse { insecure } });
        for errand in logins.into_iter().map(errand).chain(refusals) {
            let message = errand.encode();
            // What is secret in them is in the message alone.
            assert_eq!(*Errand::decode(&message).unwrap().encode(), *message);
        }
        for outcome in [Outcome::LoggedIn, Outcome::Rejected, Outcome::Unavailable] {
            assert_eq!(Outcome::decode(&outcome.encode(&[3; 16])), Ok(([3; 16], outcome)));
        }
        let visitor = Visitor { session: 5, ticket: [1; 16], arrived: b"STAT\r\n".to_vec() };
        assert_eq!(Visitor::decode(&visitor.encode()), Ok(visitor));
    }

    #[test]
    fn an_errand_shows_no_password() {
        let shown = format!("{:?}", errand(Login::Password(Secret::copy_of(b"hidden"))));
        assert!(!shown.contains("hidden") && !shown.contains("104"), "{shown}");
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(message in any::<Vec<u8>>()) {
            let _ = (Errand::decode(&message), Outcome::decode(&message), Visitor::decode(&message));
        }
    }
}
