//! What the monitor gives to fronts, proxy processes and auth: all that they have comes over
//! their wire, most of it as descriptors.

use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::counts::Secret;
use super::fields::{Malformed, Reader, Writer};
use super::guest::Origin;
use super::listen::Manner;
use super::ticket::Refusal;
use super::ticket_keys::TicketKeys;
use super::wire::{Received, Wire};

/// A message from the monitor, with the descriptor that belongs to it.
#[derive(Debug)]
pub(super) enum Order {
    /// A wire to auth; for auth, one over which the front of that number asks.
    Wire(u64, OwnedFd),
    /// What TLS is made of, sealed: [`Material`](super::material::Material), or
    /// for a proxy process its [`BackendTls`](super::proxy::material::BackendTls).
    Tls(OwnedFd),
    /// For auth: a wire to the proxy process of that number, which runs errands.
    Proxy(u64, OwnedFd),
    /// For auth: a file with name and password of who may be everybody on
    /// back-ends.
    Master(OwnedFd),
    /// With what tickets of TLS are sealed and opened from now on.
    TicketKeys(TicketKeys),
    /// A listening socket, which never blocks.
    Listener {
        /// How clients begin there.
        manner: Manner,
        /// The socket.
        socket: OwnedFd,
    },
    /// The table in which the front counts its strangers, and what hashes in all
    /// tables are made with.
    Count(Secret, OwnedFd),
    /// The table of the front of that number or of the [`SESSIONS`], to be read; none
    /// if that front has gone.
    Counted(u64, Option<OwnedFd>),
    /// Nobody is let in with a ticket that the front has shown: why not, where
    /// the client is, and its descriptor, if one has come.
    Refused(Refusal, Origin, Option<OwnedFd>),
    /// To be answered by [`Report::Alive`](super::report::Report::Alive) with
    /// the same number.
    Ping(u64),
    /// Nobody else is let in; the front ends when nobody is left.
    Leave(Strangers),
}

/// What a front that leaves does with those who are not logged in yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strangers {
    /// They may log in within their time.
    MayFinish,
    /// They are told that the service is shutting down.
    AreSentAway,
}

/// Numbers the table of the sessions, as no front is numbered.
pub(super) const SESSIONS: u64 = 0;

const COUNT: u8 = b'N';
const COUNTED: u8 = b'n';
const WIRE: u8 = b'W';
const TLS: u8 = b'T';
const TICKET_KEYS: u8 = b'K';
const PROXY: u8 = b'X';
const MASTER: u8 = b'M';
const LISTENER: u8 = b'L';
const PING: u8 = b'P';
const LEAVE: u8 = b'Q';

impl Order {
    /// The message, and the descriptor that goes with it.
    pub(super) fn encode(self) -> (Zeroizing<Vec<u8>>, Option<OwnedFd>) {
        let (fields, descriptor) = match self {
            Order::Wire(front, wire) => (Writer::new(WIRE).number(front), wire),
            Order::Tls(material) => (Writer::new(TLS), material),
            Order::TicketKeys(keys) => return (keys.write(Writer::new(TICKET_KEYS)).message(), None),
            Order::Proxy(proxy, wire) => (Writer::new(PROXY).number(proxy), wire),
            Order::Master(file) => (Writer::new(MASTER), file),
            Order::Listener { manner, socket } => (manner.write(Writer::new(LISTENER)), socket),
            Order::Count(secret, table) => (Writer::new(COUNT).octets(&secret), table),
            Order::Counted(whose, table) => return (Writer::new(COUNTED).number(whose).message(), table),
            Order::Refused(refusal, origin, client) => return (refusal.encode(&origin), client),
            Order::Ping(number) => return (Writer::new(PING).number(number).message(), None),
            Order::Leave(strangers) => {
                let may_finish = u64::from(strangers == Strangers::MayFinish);
                return (Writer::new(LEAVE).number(may_finish).message(), None);
            }
        };
        (fields.message(), Some(descriptor))
    }

    /// What has been received.
    ///
    /// # Errors
    /// It is no order, or its descriptor is missing.
    pub(super) fn decode(received: Received) -> Result<Order, Malformed> {
        let Received { message, descriptor } = received;
        let (kind, mut fields) = Reader::new(&message)?;
        let order = match (kind, descriptor) {
            (WIRE, Some(wire)) => Order::Wire(fields.number()?, wire),
            (TLS, Some(material)) => Order::Tls(material),
            (COUNT, Some(table)) => Order::Count(fields.octets()?.try_into().map_err(|_| Malformed)?, table),
            (COUNTED, table) => Order::Counted(fields.number()?, table),
            (TICKET_KEYS, None) => Order::TicketKeys(TicketKeys::read(&mut fields)?),
            (PROXY, Some(wire)) => Order::Proxy(fields.number()?, wire),
            (MASTER, Some(file)) => Order::Master(file),
            (LISTENER, Some(socket)) => Order::Listener { manner: Manner::read(&mut fields)?, socket },
            (PING, None) => Order::Ping(fields.number()?),
            (LEAVE, None) => Order::Leave(match fields.flag()? {
                true => Strangers::MayFinish,
                false => Strangers::AreSentAway,
            }),
            (_, client) => {
                let (origin, refusal) = Refusal::decode(&message)?;
                return Ok(Order::Refused(refusal, origin, client));
            }
        };
        fields.end()?;
        Ok(order)
    }

    /// Takes the next one from `wire`; `None` if there is none now.
    ///
    /// # Errors
    /// The monitor has gone, or talks nonsense.
    pub(super) fn next(wire: &Wire) -> std::io::Result<Option<Order>> {
        let Some(received) = wire.receive()? else { return Ok(None) };
        Order::decode(received).map(Some).map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, Strangers};
    use crate::service::guest::Origin;
    use crate::service::listen::Manner;
    use crate::service::ticket::Refusal;
    use crate::service::wire::Wire;

    fn passed(order: Order) -> Order {
        let (one, other) = Wire::pair().unwrap();
        let (message, descriptor) = order.encode();
        let descriptor = descriptor.as_ref().map(std::os::fd::AsFd::as_fd);
        assert!(one.send(&message, descriptor).unwrap());
        Order::next(&other).unwrap().unwrap()
    }

    fn file() -> std::os::fd::OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn orders_arrive_as_they_left() {
        assert!(matches!(passed(Order::Wire(7, file())), Order::Wire(7, _)));
        assert!(matches!(passed(Order::Tls(file())), Order::Tls(_)));
        assert!(matches!(passed(Order::Proxy(2, file())), Order::Proxy(2, _)));
        assert!(matches!(passed(Order::Master(file())), Order::Master(_)));
        for manner in [(true, false), (false, true)] {
            let manner = Manner { implicit_tls: manner.0, proxied: manner.1 };
            let listener = Order::Listener { manner, socket: file() };
            assert!(matches!(passed(listener), Order::Listener { manner: passed, .. } if passed == manner));
        }
        assert!(matches!(passed(Order::Count([9; 16], file())), Order::Count([9, ..], _)));
        assert!(matches!(passed(Order::Counted(4, Some(file()))), Order::Counted(4, Some(_))));
        assert!(matches!(passed(Order::Counted(4, None)), Order::Counted(4, None)));
        for client in [Some(file()), None] {
            let (origin, has_client) =
                (Origin { ip: "::1".into(), port: "1".into(), tls: false }, client.is_some());
            let Order::Refused(Refusal::InUse, same, client) =
                passed(Order::Refused(Refusal::InUse, origin.clone(), client))
            else {
                panic!("it is another order");
            };
            assert_eq!((same, client.is_some()), (origin, has_client));
        }
        assert!(matches!(passed(Order::Ping(5)), Order::Ping(5)));
        for strangers in [Strangers::MayFinish, Strangers::AreSentAway] {
            assert!(matches!(passed(Order::Leave(strangers)), Order::Leave(same) if same == strangers));
        }
    }

    #[test]
    fn an_order_without_its_descriptor_is_none() {
        let (one, other) = Wire::pair().unwrap();
        let (message, _) = Order::Tls(file()).encode();
        assert!(one.send(&message, None).unwrap());
        assert!(Order::next(&other).is_err());
    }
}
