//! The passwords of an entry: what is compared with them, and what replaces
//! them.

use std::hint::black_box;

use authlib::password::{self, new};
use authlib::scram::{self, Salt, Wanted};
use authlib::scram_keys::Keys;
use authlib::{Secret, Unavailable, apop, cram};

use crate::ldap::entry::Entry;
use crate::settings::Attributes;

/// Most passwords of one entry: each costs time.
const MOST: usize = 8;

/// What a proof is compared with where there is nothing.
const NOBODYS: &[u8] = b"nobody's";

/// The attribute that the server itself compares with: what has no prefix there
/// is in clear (RFC 2307 section 5.3, ledger 749).
const SERVERS_OWN: &str = "userPassword";

/// A password as an entry has it.
#[derive(Clone, Copy)]
enum Stored<'a> {
    /// In LDAP_CLEARPW.
    Clear(&'a [u8]),
    /// In LDAP_CRYPTPW.
    Crypt(&'a [u8]),
}

impl<'a> Stored<'a> {
    /// Whether comparing with it is any work.
    fn is_password(self) -> bool {
        match self {
            Stored::Clear(_) => true,
            Stored::Crypt(stored) => password::is_password(stored),
        }
    }

    fn verify(self, clear: &[u8]) -> Result<bool, Unavailable> {
        match self {
            Stored::Clear(stored) => Ok(password::is_same(stored, clear)),
            Stored::Crypt(stored) => password::verify(stored, clear),
        }
    }

    /// The password itself, if it can be told.
    fn in_clear(self) -> Option<&'a [u8]> {
        match self {
            Stored::Clear(stored) => Some(stored),
            Stored::Crypt(stored) => password::in_clear(stored),
        }
    }
}

/// The passwords of an entry. Any of them may be used (ledger 744): those in
/// clear if there are any, else the others.
#[derive(Debug, Default)]
pub(crate) struct Passwords {
    clear: Vec<Secret>,
    crypt: Vec<Secret>,
}

impl Passwords {
    /// The values of LDAP_CLEARPW and of LDAP_CRYPTPW.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn of(entry: &Entry, attributes: &Attributes) -> Result<Self, Unavailable> {
        let values = |attribute: &Option<String>| -> Vec<Secret> {
            let values = attribute.iter().flat_map(|attribute| entry.values(attribute));
            values.filter(|value| !value.is_empty()).map(Secret::copy_of).collect()
        };
        let passwords = Passwords {
            clear: values(&attributes.clear_password),
            crypt: values(&attributes.crypt_password),
        };
        if passwords.clear.len() > MOST || passwords.crypt.len() > MOST {
            return Err(Unavailable::new(format!("the entry has more than {MOST} passwords")));
        }
        Ok(passwords)
    }

    /// Those that count.
    fn in_force(&self) -> impl Iterator<Item = Stored<'_>> {
        let clear = self.clear.iter().map(|stored| Stored::Clear(stored.expose()));
        let crypt = self.crypt.iter().map(|stored| Stored::Crypt(stored.expose()));
        clear.chain(crypt.filter(|_| self.clear.is_empty()))
    }

    /// Those that are known in clear; where there are none, nobody's.
    fn known(&self) -> (Vec<&[u8]>, bool) {
        let known: Vec<&[u8]> = self.in_force().filter_map(Stored::in_clear).collect();
        if known.is_empty() { (vec![NOBODYS], false) } else { (known, true) }
    }

    /// Whether `clear` is one of them. If there is none, another is compared in
    /// vain, so that this takes as long (ledger 458).
    ///
    /// # Errors
    /// It is none that can be compared with, and with one it cannot be.
    pub(crate) fn verify(&self, clear: &[u8], typical: &Typical) -> Result<bool, Unavailable> {
        let mut verdict = Ok(false);
        let mut own = self.in_force().filter(|stored| stored.is_password()).peekable();
        if own.peek().is_none() {
            let _in_vain = black_box(typical.verify(clear));
        }
        for stored in own {
            match stored.verify(clear) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(reason) => verdict = Err(reason),
            }
        }
        verdict
    }

    /// Whether a proof of CRAM was made with one of them.
    pub(crate) fn verify_cram(&self, proof: &cram::Proof) -> bool {
        let (known, is_somebodys) = self.known();
        black_box(known.iter().any(|clear| proof.is_of_password(clear))) && is_somebodys
    }

    /// Whether a proof of APOP was.
    pub(crate) fn verify_apop(&self, proof: &apop::Proof) -> bool {
        let (known, is_somebodys) = self.known();
        black_box(known.iter().any(|clear| proof.verify(None, Some(clear)))) && is_somebodys
    }

    /// The signature for a proof of SCRAM, if that was.
    pub(crate) fn verify_scram(&self, proof: &scram::Proof) -> Option<Vec<u8>> {
        let (stored, clear) = self.for_scram(proof.hash());
        proof.verify(stored, clear)
    }

    /// With which salt one may prove by SCRAM to know one of them.
    pub(crate) fn salt(&self, wanted: &Wanted) -> Option<Salt> {
        let (stored, clear) = self.for_scram(wanted.hash);
        wanted.of(stored, clear)
    }

    /// Keys with this hash, and the first that is known in clear.
    fn for_scram(&self, hash: authlib::scram_keys::Hash) -> (Option<&[u8]>, Option<&[u8]>) {
        let is_key = |stored: &&[u8]| Keys::from_stored(stored).is_some_and(|keys| keys.hash() == hash);
        let keys = self.crypt.iter().map(Secret::expose).find(is_key);
        (keys, self.in_force().find_map(Stored::in_clear))
    }
}

/// What may be told of the passwords of `entry`: the first in clear (PASSWD2),
/// and the first as it is stored (PASSWD).
pub(crate) fn told(entry: &Entry, attributes: &Attributes) -> (Option<Secret>, Option<Secret>) {
    let first = |attribute: &Option<String>| Some(Secret::copy_of(entry.value(attribute.as_ref()?)?));
    (first(&attributes.clear_password), first(&attributes.crypt_password))
}

/// A password as most entries of this directory have it. It stands in for one
/// that is missing or locked.
#[derive(Debug, Default)]
pub(crate) struct Typical(Option<Kept>);

#[derive(Debug)]
enum Kept {
    /// In clear: one is like another.
    Clear,
    Crypt(Secret),
}

impl Typical {
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Takes one of `passwords` for typical, if nothing is yet.
    pub(crate) fn learn(&mut self, passwords: &Passwords) {
        if self.0.is_none() {
            let found = passwords.in_force().find(|stored| stored.is_password());
            self.0 = found.map(|stored| match stored {
                Stored::Clear(_) => Kept::Clear,
                Stored::Crypt(stored) => Kept::Crypt(Secret::copy_of(stored)),
            });
        }
    }

    fn verify(&self, clear: &[u8]) -> Result<bool, Unavailable> {
        match &self.0 {
            Some(Kept::Clear) => Stored::Clear(NOBODYS).verify(clear),
            Some(Kept::Crypt(stored)) => Stored::Crypt(stored.expose()).verify(clear),
            None => Stored::Crypt(password::NOBODYS).verify(clear),
        }
    }
}

/// What the attributes of `entry` get when its password becomes `clear`: those
/// that it has one in, else, if the old ones cannot be seen, the one that is
/// configured, hashed rather than not. All old values go.
///
/// # Errors
/// No hash can be made.
pub(crate) fn replacing<'a>(
    entry: &Entry,
    attributes: &'a Attributes,
    clear: &Secret,
) -> Result<Vec<(&'a str, Secret)>, Unavailable> {
    let mut changes = Vec::new();
    let configured = [attributes.clear_password.as_deref(), attributes.crypt_password.as_deref()];
    let [in_clear, crypt] = configured.map(|name| name.filter(|name| entry.value(name).is_some()));
    let (in_clear, crypt) = match (in_clear, crypt, configured) {
        // One and the same attribute is one in clear.
        (Some(one), Some(other), _) if one.eq_ignore_ascii_case(other) => (Some(one), None),
        (None, None, [_, Some(crypt)]) => (None, Some(crypt)),
        (None, None, [Some(clear), None]) => (Some(clear), None),
        (in_clear, crypt, _) => (in_clear, crypt),
    };
    if let Some(name) = in_clear {
        changes.push((name, Secret::copy_of(clear.expose())));
    }
    if let Some(name) = crypt {
        changes.push((name, hashed(name, entry.value(name).unwrap_or_default(), clear)?));
    }
    Ok(changes)
}

/// What replaces `old` in the attribute `name`.
fn hashed(name: &str, old: &[u8], clear: &Secret) -> Result<Secret, Unavailable> {
    let made = new::replacing(old, clear.expose()).map_err(|failed| Unavailable::new(failed.to_string()))?;
    let needs_prefix = name.eq_ignore_ascii_case(SERVERS_OWN) && !made.starts_with('{');
    let prefix = if needs_prefix { "{CRYPT}" } else { "" };
    Ok(Secret::new([prefix, &made].concat().into_bytes()))
}
