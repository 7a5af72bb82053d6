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
mod tests {
    use super::Entry;
    use crate::ldap::ber::{Reader, SEQUENCE, SET, elements, string};

    #[test]
    fn values_are_found_by_the_attributes_name_in_any_case() {
        let set =
            |values: &[&[u8]]| elements(SET, &values.iter().map(|value| string(value)).collect::<Vec<_>>());
        let attribute = |name: &[u8], values: &[&[u8]]| elements(SEQUENCE, &[string(name), set(values)]);
        let attributes = elements(
            SEQUENCE,
            &[
                attribute(b"userPassword", &[b"", b"a", b"b"]),
                attribute(b"mail", &[b"m"]),
                attribute(b"none", &[]),
            ],
        );
        let octets = [string(b"cn=a").as_slice(), attributes.as_slice()].concat();
        let entry = Entry::parse(Reader::new(&octets)).unwrap();
        assert_eq!(entry.dn(), b"cn=a");
        assert_eq!(entry.value("USERPASSWORD"), Some(b"a".as_slice()));
        assert_eq!(entry.values("userpassword").collect::<Vec<_>>(), [b"".as_slice(), b"a", b"b"]);
        assert_eq!((entry.value("none"), entry.value("other")), (None, None));
        for end in 0..octets.len() {
            assert!(Entry::parse(Reader::new(&octets[..end])).is_err());
        }
        assert!(!format!("{entry:?}").contains('a'));
    }
}
