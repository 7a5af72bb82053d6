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

#[cfg(test)]
mod tests {
    use super::{MOST, Passwords, Typical, replacing, told};
    use crate::ldap::entry::Entry;
    use crate::ldap::entry::tests::entry;
    use crate::settings::Attributes;
    use authlib::Secret;
    use authlib::scram_keys::{Hash, Keys};

    const SHA: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    /// With these attributes for passwords.
    fn attributes(clear: Option<&str>, crypt: Option<&str>) -> Attributes {
        Attributes {
            clear_password: clear.map(str::to_owned),
            crypt_password: crypt.map(str::to_owned),
            ..Attributes::default()
        }
    }

    fn both() -> Attributes {
        attributes(Some("clear"), Some("crypt"))
    }

    fn is_right(whose: &Entry, password: &str) -> bool {
        let mut typical = Typical::default();
        typical.learn(&Passwords::of(&entry(&[("crypt", &[SHA])]), &both()).unwrap());
        Passwords::of(whose, &both()).unwrap().verify(password.as_bytes(), &typical).unwrap()
    }

    #[test]
    fn any_password_of_those_in_force_is_right() {
        let hashed = entry(&[("crypt", &["*", SHA])]);
        assert!(is_right(&hashed, "secret") && !is_right(&hashed, "*"));
        let clear = entry(&[("clear", &["one", "two"]), ("crypt", &[SHA])]);
        assert!(is_right(&clear, "one") && is_right(&clear, "two") && !is_right(&clear, "secret"));
        // A hash in the wrong place is a password like any other.
        let astray = entry(&[("clear", &[SHA])]);
        assert!(!is_right(&astray, "secret"));
    }

    #[test]
    fn where_there_is_no_password_not_even_the_typical_one_is_right() {
        for none in [entry(&[]), entry(&[("crypt", &["*"])]), entry(&[("crypt", &[""]), ("clear", &[""])])] {
            for password in ["secret", "nobody's", "*", ""] {
                assert!(!is_right(&none, password), "{password}");
            }
            assert!(!Passwords::of(&none, &both()).unwrap().verify(b"secret", &Typical::default()).unwrap());
        }
    }

    #[test]
    fn the_first_real_password_is_typical_and_one_in_clear_is_not_kept() {
        let mut typical = Typical::default();
        for (entry, is_known) in [
            (entry(&[]), false),
            (entry(&[("crypt", &["*"])]), false),
            (entry(&[("clear", &["hunter2"])]), true),
        ] {
            typical.learn(&Passwords::of(&entry, &both()).unwrap());
            assert_eq!(typical.is_known(), is_known);
        }
        assert_eq!(format!("{typical:?}"), "Typical(Some(Clear))");
        assert!(!typical.verify(b"hunter2").unwrap());
    }

    #[test]
    fn one_that_cannot_be_compared_matters_only_if_no_other_is_right() {
        let costly = "$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
        let entry = entry(&[("crypt", &[costly, SHA])]);
        let passwords = Passwords::of(&entry, &both()).unwrap();
        assert_eq!(passwords.verify(b"secret", &Typical::default()), Ok(true));
        assert!(passwords.verify(b"wrong", &Typical::default()).is_err());
    }

    #[test]
    fn too_many_passwords_are_no_work() {
        for (count, is_ok) in [(MOST, true), (MOST + 1, false)] {
            let values = vec![SHA; count];
            assert_eq!(Passwords::of(&entry(&[("crypt", &values)]), &both()).is_ok(), is_ok);
        }
    }

    #[test]
    fn keys_of_scram_are_found_among_other_values() {
        let keys = Keys::derive(Hash::Sha256, b"secret", b"salt", 4096).unwrap().stored();
        let entry = entry(&[("crypt", &[SHA, &keys])]);
        let passwords = Passwords::of(&entry, &both()).unwrap();
        assert_eq!(passwords.for_scram(Hash::Sha256), (Some(keys.as_bytes()), None));
        assert_eq!(passwords.for_scram(Hash::Sha1), (None, None));
    }

    #[test]
    fn the_first_of_each_kind_is_told() {
        let entry = entry(&[("clear", &["", "one", "two"]), ("crypt", &[SHA, "x"])]);
        let (clear, stored) = told(&entry, &both());
        assert_eq!((clear.unwrap().expose(), stored.unwrap().expose()), (b"one".as_slice(), SHA.as_bytes()));
    }

    /// The attributes that change, and what their values begin with.
    fn changes(entry: &Entry, attributes: &Attributes) -> Vec<(String, String)> {
        let changes = replacing(entry, attributes, &Secret::copy_of(b"new")).unwrap();
        let shown = |value: &Secret| String::from_utf8_lossy(value.expose()).chars().take(10).collect();
        changes.iter().map(|(name, value)| ((*name).to_owned(), shown(value))).collect()
    }

    #[test]
    fn a_new_password_goes_where_one_was_else_where_one_may_be() {
        let change = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (has, attributes, expected) in [
            (entry(&[("clear", &["x"])]), both(), vec![change("clear", "new")]),
            (entry(&[("crypt", &[SHA])]), both(), vec![change("crypt", "{CRYPT}$y$")]),
            (entry(&[]), both(), vec![change("crypt", "$y$j9T$")]),
            (entry(&[]), attributes(Some("clear"), None), vec![change("clear", "new")]),
            (entry(&[]), attributes(None, Some("userPassword")), vec![change("userPassword", "{CRYPT}$y$")]),
            (entry(&[("pw", &["x"])]), attributes(Some("pw"), Some("PW")), vec![change("pw", "new")]),
            (entry(&[]), attributes(None, None), vec![]),
        ] {
            let found = changes(&has, &attributes);
            assert_eq!(found.len(), expected.len());
            for ((name, value), (expected_name, start)) in found.iter().zip(&expected) {
                assert!(name == expected_name && value.starts_with(start), "{found:?} {expected:?}");
            }
        }
        let both_change = changes(&entry(&[("clear", &["x"]), ("crypt", &[SHA])]), &both());
        assert_eq!(both_change, [change("clear", "new"), change("crypt", "{CRYPT}$y$")]);
    }
}
