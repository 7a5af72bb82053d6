//! Tickets: what a client keeps of a session to resume it, sealed with the keys
//! that all fronts have.
//!
//! ```text
//!   name of the key, 16 octets │ nonce, 12 │ sealed, with its tag
//! ```
//!
//! AES-256-GCM-SIV (RFC 8452), since several fronts draw nonces for one key
//! and know nothing of each other: one that came twice would give nothing away
//! but that two tickets are the same.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use programs::service::ticket_keys::{PERIOD, TicketKeys};
use rustls::server::ProducesTickets;
use sha2::{Digest, Sha256};

const NAME_LENGTH: usize = 16;

/// Seals and opens tickets.
pub(crate) struct Ticketer {
    keys: RwLock<Vec<Key>>,
    /// Of which server a session was: another one does not resume it.
    server: [u8; 32],
}

struct Key {
    name: [u8; NAME_LENGTH],
    key: LessSafeKey,
}

impl Ticketer {
    /// One without keys, for the server with these certificates.
    pub(crate) fn new(certificates: &[u8]) -> Ticketer {
        Ticketer { keys: RwLock::default(), server: Sha256::digest(certificates).into() }
    }

    /// It has these keys from now on.
    pub(crate) fn know(&self, keys: &TicketKeys) {
        let known = keys.newest_first().iter().filter_map(|key| {
            let unbound = UnboundKey::new(&AES_256_GCM_SIV, &key.secret[..]).ok()?;
            Some(Key { name: key.name, key: LessSafeKey::new(unbound) })
        });
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = known.collect();
    }

    fn context(&self, name: &[u8; NAME_LENGTH]) -> Aad<Vec<u8>> {
        Aad::from([&name[..], &self.server].concat())
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        !self.keys.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(PERIOD).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Key { name, key } = keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let context = self.context(name);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), context, &mut sealed).ok()?;
        Some([&name[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LENGTH>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Key { name, key } = keys.iter().find(|key| key.name == *name)?;
        let mut plain = sealed.to_vec();
        let context = self.context(name);
        let length = key.open_in_place(Nonce::assume_unique_for_key(*nonce), context, &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// It prints nothing.
impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

#[cfg(test)]
mod tests {
    use super::Ticketer;
    use programs::service::ticket_keys::{PERIOD, TicketKeys};
    use rustls::server::ProducesTickets;

    fn ticketer(certificate: &[u8], keys: &TicketKeys) -> Ticketer {
        let ticketer = Ticketer::new(certificate);
        ticketer.know(keys);
        ticketer
    }

    fn keys() -> TicketKeys {
        let mut keys = TicketKeys::default();
        keys.turn(0).unwrap();
        keys
    }

    #[test]
    fn what_one_front_has_sealed_another_one_opens_also_with_the_key_before() {
        let mut keys = keys();
        let ticket = ticketer(b"server", &keys).encrypt(b"session").unwrap();
        let other = ticketer(b"server", &keys);
        assert_eq!(other.decrypt(&ticket).unwrap(), b"session");
        keys.turn(PERIOD).unwrap();
        other.know(&keys);
        assert_eq!(other.decrypt(&ticket).unwrap(), b"session");
        keys.turn(2 * PERIOD).unwrap();
        other.know(&keys);
        assert!(other.decrypt(&ticket).is_none());
    }

    #[test]
    fn what_is_no_ticket_of_this_server_is_none() {
        let keys = keys();
        let ours = ticketer(b"server", &keys);
        let ticket = ours.encrypt(b"session").unwrap();
        assert!(ticketer(b"another server", &keys).decrypt(&ticket).is_none());
        for octet in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[octet] ^= 1;
            assert!(ours.decrypt(&altered).is_none(), "octet {octet}");
            assert!(ours.decrypt(&ticket[..octet]).is_none(), "{octet} octets");
        }
        assert_ne!(ours.encrypt(b"session").unwrap(), ticket);
    }

    #[test]
    fn without_keys_there_are_no_tickets() {
        let ticketer = ticketer(b"server", &keys());
        assert!(ticketer.enabled());
        ticketer.know(&TicketKeys::default());
        assert!(!ticketer.enabled() && ticketer.encrypt(b"session").is_none());
    }
}
