//! Messages as fields of octets, each behind its length. A process believes
//! nothing that another one says before it has been read by [`Reader`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A message that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message between processes is malformed")]
pub(super) struct Malformed;

/// Octets that most messages have room in.
const USUAL: usize = 512;

/// Writes a message.
#[derive(Default)]
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// A message that begins with `kind`.
    pub(super) fn new(kind: u8) -> Self {
        let mut writer = Writer(Zeroizing::new(Vec::with_capacity(USUAL)));
        writer.put(&[kind]);
        writer
    }

    /// Appends `octets`. What grows is copied by hand, since a vector that grows
    /// by itself would leave passwords behind.
    fn put(&mut self, octets: &[u8]) {
        let needed = self.0.len() + octets.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(octets);
    }

    /// A field of any octets.
    pub(super) fn octets(mut self, field: &[u8]) -> Self {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.put(&length.to_le_bytes());
        self.put(field);
        self
    }

    /// A field that may be missing.
    pub(super) fn optional(self, field: Option<&[u8]>) -> Self {
        match field {
            Some(field) => self.number(1).octets(field),
            None => self.number(0),
        }
    }

    /// A path.
    pub(super) fn path(self, path: &Path) -> Self {
        self.octets(path.as_os_str().as_bytes())
    }

    /// A path that may be missing.
    pub(super) fn optional_path(self, path: Option<&Path>) -> Self {
        self.optional(path.map(|path| path.as_os_str().as_bytes()))
    }

    /// A number.
    pub(super) fn number(mut self, number: u64) -> Self {
        self.put(&number.to_le_bytes());
        self
    }

    /// The message.
    pub(super) fn message(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads a message.
pub(super) struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    /// The kind of `message`, and its fields.
    pub(super) fn new(message: &'m [u8]) -> Result<(u8, Reader<'m>), Malformed> {
        let (kind, fields) = message.split_first().ok_or(Malformed)?;
        Ok((*kind, Reader(fields)))
    }

    /// The next field, of any octets.
    pub(super) fn octets(&mut self) -> Result<&'m [u8], Malformed> {
        let (length, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed)?;
        let (field, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    /// The next field, which is text.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.octets()?.to_vec()).map_err(|_| Malformed)
    }

    /// The next field, if it is not missing.
    pub(super) fn optional(&mut self) -> Result<Option<&'m [u8]>, Malformed> {
        match self.number()? {
            0 => Ok(None),
            1 => self.octets().map(Some),
            _ => Err(Malformed),
        }
    }

    /// The next field, which is a path.
    pub(super) fn path(&mut self) -> Result<PathBuf, Malformed> {
        self.octets().map(path)
    }

    /// The next field, which is a path, if it is not missing.
    pub(super) fn optional_path(&mut self) -> Result<Option<PathBuf>, Malformed> {
        Ok(self.optional()?.map(path))
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    /// The next number, which is no larger than its type.
    pub(super) fn small<N: TryFrom<u64>>(&mut self) -> Result<N, Malformed> {
        N::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// The next number, which is 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

fn path(octets: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Reader, Writer};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(one in any::<Vec<u8>>(), two in any::<Option<Vec<u8>>>(), number: u64) {
            let message = Writer::new(7).octets(&one).optional(two.as_deref()).number(number).message();
            let (kind, mut reader) = Reader::new(&message).unwrap();
            prop_assert_eq!(kind, 7);
            prop_assert_eq!(reader.octets().unwrap(), &one);
            prop_assert_eq!(reader.optional().unwrap(), two.as_deref());
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert!(reader.end().is_ok());
        }

        #[test]
        fn anything_is_read_without_harm(message in any::<Vec<u8>>()) {
            let Ok((_, mut reader)) = Reader::new(&message) else { return Ok(()) };
            while reader.octets().is_ok() && reader.optional().is_ok() {}
            let _ = (reader.flag(), reader.small::<u32>(), reader.end());
        }
    }

    #[test]
    fn a_long_message_grows_and_stays_whole() {
        let long = [7; 5000];
        let message = Writer::new(1).octets(&long).number(9).octets(&long).message();
        let (_, mut reader) = Reader::new(&message).unwrap();
        assert_eq!((reader.octets().unwrap(), reader.number()), (&long[..], Ok(9)));
        assert_eq!(reader.octets().unwrap(), &long);
        assert!(message.capacity() < crate::service::wire::LIMIT);
    }

    #[test]
    fn a_message_that_ends_early_or_late_is_malformed() {
        let message = Writer::new(1).octets(b"abc").message();
        assert!(Reader::new(&[]).is_err());
        let (_, mut reader) = Reader::new(&message[..message.len() - 1]).unwrap();
        assert_eq!(reader.octets(), Err(Malformed));
        let (_, reader) = Reader::new(&message).unwrap();
        assert_eq!(reader.end(), Err(Malformed));
    }
}
