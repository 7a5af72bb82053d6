//! An entry that a search has found.

use std::fmt;

use authlib::Secret;

use super::ber::{Malformed, OCTET_STRING, Reader, SEQUENCE, SET};

/// An entry, as much of it as was asked for. Any value may be a password.
pub(crate) struct Entry {
    dn: Vec<u8>,
    attributes: Vec<(Vec<u8>, Vec<Secret>)>,
}

impl Entry {
    /// What a SearchResultEntry says (RFC 4511 section 4.5.2).
    pub(crate) fn parse(mut content: Reader<'_>) -> Result<Entry, Malformed> {
        let dn = content.expect(OCTET_STRING)?.to_vec();
        let mut list = Reader::new(content.expect(SEQUENCE)?);
        let mut attributes = Vec::new();
        while !list.is_empty() {
            let mut attribute = Reader::new(list.expect(SEQUENCE)?);
            let name = attribute.expect(OCTET_STRING)?.to_vec();
            let mut set = Reader::new(attribute.expect(SET)?);
            let mut values = Vec::new();
            while !set.is_empty() {
                values.push(Secret::copy_of(set.expect(OCTET_STRING)?));
            }
            attributes.push((name, values));
        }
        Ok(Entry { dn, attributes })
    }

    /// Its name, as the server writes it.
    pub(crate) fn dn(&self) -> &[u8] {
        &self.dn
    }

    /// All values of `attribute`, whose name may be written in any case.
    pub(crate) fn values(&self, attribute: &str) -> impl Iterator<Item = &[u8]> {
        let is_it = move |name: &[u8]| name.eq_ignore_ascii_case(attribute.as_bytes());
        let found = self.attributes.iter().filter(move |(name, _)| is_it(name));
        found.flat_map(|(_, values)| values).map(Secret::expose)
    }

    /// The first value of `attribute` that is not empty.
    pub(crate) fn value(&self, attribute: &str) -> Option<&[u8]> {
        self.values(attribute).find(|value| !value.is_empty())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Entry").finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Entry;
    use crate::ldap::ber::{Octets, Reader, SEQUENCE, SET, elements, string};
    use proptest::prelude::*;

    /// What a server says of the entry `cn=a` with these attributes.
    fn encoded(attributes: &[(&str, &[&str])]) -> Vec<u8> {
        let strings =
            |values: &[&str]| values.iter().map(|value| string(value.as_bytes())).collect::<Vec<Octets>>();
        let attributes = attributes.iter().map(|(name, values)| {
            elements(SEQUENCE, &[string(name.as_bytes()), elements(SET, &strings(values))])
        });
        [string(b"cn=a"), elements(SEQUENCE, &attributes.collect::<Vec<_>>())]
            .map(|octets| octets.to_vec())
            .concat()
    }

    /// An entry with these attributes.
    pub(crate) fn entry(attributes: &[(&str, &[&str])]) -> Entry {
        Entry::parse(Reader::new(&encoded(attributes))).unwrap()
    }

    const ATTRIBUTES: &[(&str, &[&str])] =
        &[("userPassword", &["", "a", "b"]), ("mail", &["m"]), ("none", &[])];

    #[test]
    fn values_are_found_by_the_attributes_name_in_any_case() {
        let entry = entry(ATTRIBUTES);
        assert_eq!(entry.dn(), b"cn=a");
        assert_eq!(entry.value("USERPASSWORD"), Some(b"a".as_slice()));
        assert_eq!(entry.values("userpassword").collect::<Vec<_>>(), [b"".as_slice(), b"a", b"b"]);
        assert_eq!((entry.value("none"), entry.value("other")), (None, None));
        assert!(!format!("{entry:?}").contains('a'));
    }

    #[test]
    fn half_an_entry_is_none() {
        let octets = encoded(ATTRIBUTES);
        for end in 0..octets.len() {
            assert!(Entry::parse(Reader::new(&octets[..end])).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_octets_do_harm(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Entry::parse(Reader::new(&octets));
        }

        #[test]
        fn no_damaged_entry_does_harm(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut octets = encoded(ATTRIBUTES);
            let at = at.index(octets.len());
            octets[at] = octet;
            let _ = Entry::parse(Reader::new(&octets));
        }
    }
}
