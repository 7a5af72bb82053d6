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
//! not told. A front that has shown one keeps nothing of the client; of one who
//! is not let in it gets the descriptor back, with the reason.

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
    /// The ticket.
    pub(crate) ticket: Number,
    /// Where the client is.
    pub(crate) origin: Origin,
    /// Whether it has said UTF8.
    pub(crate) utf8: bool,
    /// What it has said behind its login.
    pub(crate) arrived: Vec<u8>,
}

/// Why nobody was let in with a [`Shown`] ticket. Of those who were, a front
/// hears nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such ticket, or no mailbox process can be had now.
    Unavailable,
    /// The account has as many sessions as it may have.
    InUse,
}

const ISSUED: u8 = b'I';
const REFERRED: u8 = b'R';
const SHOWN: u8 = b'S';
const REFUSED: u8 = b'A';

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
        let fields = Writer::new(SHOWN).octets(&self.ticket);
        self.origin.write(fields).number(u64::from(self.utf8)).octets(&self.arrived).message()
    }

    /// What `message` says.
    pub(super) fn decode(message: &[u8]) -> Result<Shown, Malformed> {
        let (SHOWN, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let shown = Shown {
            ticket: number(fields.octets()?)?,
            origin: Origin::read(&mut fields)?,
            utf8: fields.flag()?,
            arrived: fields.octets()?.to_vec(),
        };
        fields.end()?;
        Ok(shown)
    }
}

impl Refusal {
    /// The message about the client at `origin`.
    pub(super) fn encode(self, origin: &Origin) -> Zeroizing<Vec<u8>> {
        let number = match self {
            Refusal::Unavailable => 0,
            Refusal::InUse => 1,
        };
        origin.write(Writer::new(REFUSED)).number(number).message()
    }

    /// Where the client is that `message` is about, and what it says.
    pub(super) fn decode(message: &[u8]) -> Result<(Origin, Refusal), Malformed> {
        let (REFUSED, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let origin = Origin::read(&mut fields)?;
        let refusal = match fields.number()? {
            0 => Refusal::Unavailable,
            1 => Refusal::InUse,
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok((origin, refusal))
    }
}

fn number(octets: &[u8]) -> Result<Number, Malformed> {
    octets.try_into().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Destination, Holder, Issued, Origin, Referral, Refusal, Shown};
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
            Shown { ticket: [1; 16], origin: origin.clone(), utf8: true, arrived: b"STAT\r\n".to_vec() };
        assert_eq!(Shown::decode(&shown.encode()), Ok(shown));
        for refusal in [Refusal::Unavailable, Refusal::InUse] {
            assert_eq!(Refusal::decode(&refusal.encode(&origin)), Ok((origin.clone(), refusal)));
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
            let _ = (Issued::decode(&message), Shown::decode(&message), Refusal::decode(&message));
        }
    }
}
