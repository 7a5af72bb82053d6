//! Somebody whose credentials were good, on the way from one process to the
//! next.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};

/// Where a client is, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// TCPREMOTEIP.
    pub(crate) ip: String,
    /// TCPREMOTEPORT.
    pub(crate) port: String,
    /// Whether the client speaks TLS.
    pub(crate) tls: bool,
}

impl Origin {
    /// `fields`, and behind them this.
    pub(super) fn write(&self, fields: Writer) -> Writer {
        fields.octets(self.ip.as_bytes()).octets(self.port.as_bytes()).number(u64::from(self.tls))
    }

    /// The one that comes next in `fields`.
    pub(super) fn read(fields: &mut Reader<'_>) -> Result<Origin, Malformed> {
        Ok(Origin { ip: fields.text()?, port: fields.text()?, tls: fields.flag()? })
    }
}

/// A session that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Names the session between monitor and mailbox process.
    pub(crate) number: u64,
    /// The account's address.
    pub(crate) address: Vec<u8>,
    /// Its home directory, absolute.
    pub(crate) home: PathBuf,
    /// Its Maildir, absolute or relative to its home.
    pub(crate) maildir: PathBuf,
    /// Its options.
    pub(crate) options: Vec<u8>,
    /// Where the client is.
    pub(crate) origin: Origin,
    /// Whether the client has said UTF8.
    pub(crate) utf8: bool,
    /// What the client has said behind its login, and nobody has answered.
    pub(crate) arrived: Vec<u8>,
}

const GUEST: u8 = b'G';
const ENDED: u8 = b'E';

/// The message that the session `number` has ended.
pub(super) fn ended(number: u64) -> Zeroizing<Vec<u8>> {
    Writer::new(ENDED).number(number).message()
}

/// The number of the session that has ended.
pub(super) fn decode_ended(message: &[u8]) -> Result<u64, Malformed> {
    let (ENDED, mut fields) = Reader::new(message)? else { return Err(Malformed) };
    let number = fields.number()?;
    fields.end()?;
    Ok(number)
}

impl Guest {
    /// The message.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let fields = Writer::new(GUEST)
            .number(self.number)
            .octets(&self.address)
            .path(&self.home)
            .path(&self.maildir)
            .octets(&self.options);
        self.origin.write(fields).number(u64::from(self.utf8)).octets(&self.arrived).message()
    }

    /// What `message` says.
    pub(super) fn decode(message: &[u8]) -> Result<Guest, Malformed> {
        let (GUEST, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let guest = Guest {
            number: fields.number()?,
            address: fields.octets()?.to_vec(),
            home: fields.path()?,
            maildir: fields.path()?,
            options: fields.octets()?.to_vec(),
            origin: Origin::read(&mut fields)?,
            utf8: fields.flag()?,
            arrived: fields.octets()?.to_vec(),
        };
        fields.end()?;
        if guest.home.is_absolute() { Ok(guest) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Guest, Origin};

    #[test]
    fn a_guest_arrives_as_he_left() {
        let guest = Guest {
            number: 3,
            address: b"alice@example.com".to_vec(),
            home: "/home/alice".into(),
            maildir: "Maildir".into(),
            options: b"disableimap=1".to_vec(),
            origin: Origin { ip: "::1".into(), port: "1100".into(), tls: true },
            utf8: true,
            arrived: b"STAT\r\nLI".to_vec(),
        };
        assert_eq!(Guest::decode(&guest.encode()), Ok(guest.clone()));
        assert!(Guest::decode(&guest.encode()[1..]).is_err());
        let nowhere = Guest { home: "alice".into(), ..guest };
        assert!(Guest::decode(&nowhere.encode()).is_err());
    }
}
