//! The fields of a compiled record: `name=value|name=value|flag`.

/// The value of the first field called `name`; a field without `=` has an
/// empty one (reference: authlib 9).
#[must_use]
pub fn find<'a>(record: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    record.split(|&octet| octet == b'|').find_map(|field| match field.strip_prefix(name)? {
        [] => Some(b"".as_slice()),
        [b'=', value @ ..] => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_field_of_a_whole_name_is_found() {
        let record = b"pop3pw=a|pw=b|flag|pw=c|empty=|last=d=e";
        assert_eq!(find(record, b"pw"), Some(b"b".as_slice()));
        assert_eq!(find(record, b"pop3"), None);
        assert_eq!(find(record, b"flag"), Some(b"".as_slice()));
        assert_eq!(find(record, b"empty"), Some(b"".as_slice()));
        assert_eq!(find(record, b"last"), Some(b"d=e".as_slice()));
        assert_eq!(find(record, b"d"), None);
        assert_eq!(find(b"", b"pw"), None);
    }
}
