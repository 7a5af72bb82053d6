//! Tickets: how a login that was good gets from the front to a mailbox process
//! without the front learning whose account it is.
//!
//! ```text
//!   auth ──Issued: ticket, account──> monitor <──Shown: ticket, descriptor── front
//!   auth ──(to the front): ticket                 └──Guest──> mailbox process
//! ```
//!
//! A ticket is good once, for a few seconds, and for the front it was made for:
//! whoever has taken over a front can log in as nobody whose password it was
//! not told.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};
use super::guest::Origin;

/// What nobody can guess.
pub(crate) type Number = [u8; 16];

/// Who reads an account's mail, and under which ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The user id, not 0.
    pub(crate) uid: u32,
    /// The group id, not 0.
    pub(crate) gid: u32,
    /// All groups, without 0.
    pub(crate) groups: Vec<u32>,
    /// The account's address.
    pub(crate) address: Vec<u8>,
    /// Its home directory, absolute.
    pub(crate) home: PathBuf,
    /// Its Maildir, absolute or relative to its home, if it has one of its own.
    pub(crate) maildir: Option<PathBuf>,
    /// Its options.
    pub(crate) options: Vec<u8>,
}

/// Where a ticket leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To a mailbox process.
    Mailbox(Holder),
    /// To a proxy process.
    Proxy(Referral),
}

/// A session that has begun on a back-end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referral {
    /// The number of the proxy process that has it, and waits for its client.
    pub(crate) proxy: u64,
    /// The account's address.
    pub(crate) address: Vec<u8>,
}

/// auth has accepted somebody whom the front `front` has asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// The ticket.
    pub(crate) ticket: Number,
    /// For which front.
    pub(crate) front: u64,
    /// Where it leads.
    pub(crate) to: Destination,
}

/// A front shows a ticket; the client's descriptor comes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Names the connection at this front.
    pub(crate) connection: u64,
    /// The ticket.
    pub(crate) ticket: Number,
    /// Where the client is.
    pub(crate) origin: Origin,
    /// Whether it has said UTF8.
    pub(crate) utf8: bool,
    /// What it has said behind its login.
    pub(crate) arrived: Vec<u8>,
}

/// What became of a [`Shown`] ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The client is with its mailbox process: the front forgets it.
    Granted,
    /// There is no such ticket, or no mailbox process can be had now.
    Unavailable,
    /// The account has as many sessions as it may have.
    InUse,
}

const ISSUED: u8 = b'I';
const REFERRED: u8 = b'R';
const SHOWN: u8 = b'S';
const ADMISSION: u8 = b'A';

impl Issued {
    /// The message.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let holder = match &self.to {
            Destination::Mailbox(holder) => holder,
            Destination::Proxy(Referral { proxy, address }) => {
                let fields = Writer::new(REFERRED).octets(&self.ticket).number(self.front);
                return fields.number(*proxy).octets(address).message();
            }
        };
        let groups: Vec<u8> = holder.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
        Writer::new(ISSUED)
            .octets(&self.ticket)
            .number(self.front)
            .number(holder.uid.into())
            .number(holder.gid.into())
            .octets(&groups)
            .octets(&holder.address)
            .path(&holder.home)
            .optional_path(holder.maildir.as_deref())
            .octets(&holder.options)
            .message()
    }

    /// What `message` says. Root's ids and relative homes are malformed.
    pub(super) fn decode(message: &[u8]) -> Result<Issued, Malformed> {
        let (kind, mut fields) = Reader::new(message)?;
        let (ticket, front) = (number(fields.octets()?)?, fields.number()?);
        let to = match kind {
            ISSUED => Destination::Mailbox(Holder::read(&mut fields)?),
            REFERRED => {
                Destination::Proxy(Referral { proxy: fields.number()?, address: fields.octets()?.to_vec() })
            }
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok(Issued { ticket, front, to })
    }
}

impl Holder {
    fn read(fields: &mut Reader<'_>) -> Result<Holder, Malformed> {
        let (uid, gid) = (fields.small()?, fields.small()?);
        let (groups, rest) = fields.octets()?.as_chunks();
        let groups: Vec<u32> = groups.iter().map(|group| u32::from_le_bytes(*group)).collect();
        let holder = Holder {
            uid,
            gid,
            groups,
            address: fields.octets()?.to_vec(),
            home: fields.path()?,
            maildir: fields.optional_path()?,
            options: fields.octets()?.to_vec(),
        };
        let is_root = holder.uid == 0 || holder.gid == 0 || holder.groups.contains(&0);
        if is_root || !holder.home.is_absolute() || !rest.is_empty() {
            return Err(Malformed);
        }
        Ok(holder)
    }
}

impl Shown {
    /// The message.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let fields = Writer::new(SHOWN).number(self.connection).octets(&self.ticket);
        self.origin.write(fields).number(u64::from(self.utf8)).octets(&self.arrived).message()
    }

    /// What `message` says.
    pub(super) fn decode(message: &[u8]) -> Result<Shown, Malformed> {
        let (SHOWN, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let shown = Shown {
            connection: fields.number()?,
            ticket: number(fields.octets()?)?,
            origin: Origin::read(&mut fields)?,
            utf8: fields.flag()?,
            arrived: fields.octets()?.to_vec(),
        };
        fields.end()?;
        Ok(shown)
    }
}

impl Admission {
    /// The message about the front's connection `connection`.
    pub(super) fn encode(self, connection: u64) -> Zeroizing<Vec<u8>> {
        let number = match self {
            Admission::Unavailable => 0,
            Admission::Granted => 1,
            Admission::InUse => 2,
        };
        Writer::new(ADMISSION).number(connection).number(number).message()
    }

    /// About which connection `message` is, and what it says.
    pub(super) fn decode(message: &[u8]) -> Result<(u64, Admission), Malformed> {
        let (ADMISSION, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let connection = fields.number()?;
        let admission = match fields.number()? {
            0 => Admission::Unavailable,
            1 => Admission::Granted,
            2 => Admission::InUse,
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok((connection, admission))
    }
}

fn number(octets: &[u8]) -> Result<Number, Malformed> {
    octets.try_into().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Admission, Destination, Holder, Issued, Origin, Referral, Shown};
    use proptest::prelude::*;

    fn holder() -> Holder {
        Holder {
            uid: 1000,
            gid: 1001,
            groups: vec![1001, 8],
            address: b"alice".to_vec(),
            home: "/home/alice".into(),
            maildir: None,
            options: vec![],
        }
    }

    fn issued(to: Destination) -> Issued {
        Issued { ticket: [7; 16], front: 2, to }
    }

    #[test]
    fn messages_arrive_as_they_left() {
        let referral = Referral { proxy: 3, address: b"alice".to_vec() };
        for issued in [Destination::Mailbox(holder()), Destination::Proxy(referral)].map(issued) {
            assert_eq!(Issued::decode(&issued.encode()), Ok(issued));
        }
        let origin = Origin { ip: "::1".into(), port: "1".into(), tls: false };
        let shown =
            Shown { connection: 9, ticket: [1; 16], origin, utf8: true, arrived: b"STAT\r\n".to_vec() };
        assert_eq!(Shown::decode(&shown.encode()), Ok(shown));
        for admission in [Admission::Granted, Admission::Unavailable, Admission::InUse] {
            assert_eq!(Admission::decode(&admission.encode(4)), Ok((4, admission)));
        }
    }

    #[test]
    fn nobody_is_issued_a_ticket_to_be_root() {
        for holder in [
            Holder { uid: 0, ..holder() },
            Holder { gid: 0, ..holder() },
            Holder { groups: vec![5, 0], ..holder() },
            Holder { home: "home".into(), ..holder() },
        ] {
            let issued = issued(Destination::Mailbox(holder));
            assert!(Issued::decode(&issued.encode()).is_err());
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(message in any::<Vec<u8>>()) {
            let _ = (Issued::decode(&message), Shown::decode(&message), Admission::decode(&message));
        }
    }
}
