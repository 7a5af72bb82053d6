//! An authdaemond's answer to AUTH or PRE (reference: authlib 3.3).

use crate::account::{Account, Ids, Unavailable, id, path, text};
use crate::options::Options;

/// Whether nothing more is to be expected behind `octets`.
pub(super) fn is_complete(octets: &[u8]) -> bool {
    octets == b"FAIL\n" || octets.starts_with(b".\n") || octets.windows(3).any(|window| window == b"\n.\n")
}

/// The account, or `None` for FAIL.
///
/// # Errors
/// If `octets` are anything else than one whole answer, or describe an
/// account that cannot be used.
pub(super) fn verdict(octets: &[u8]) -> Result<Option<Account>, Unavailable> {
    if octets.is_empty() {
        return Err(Unavailable::new("authdaemond closed the connection without an answer"));
    }
    if octets == b"FAIL\n" {
        return Ok(None);
    }
    Attributes::parse(octets)?.account().map(Some)
}

/// The `NAME=value` lines before the final `.`.
struct Attributes<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Attributes<'a> {
    fn parse(octets: &'a [u8]) -> Result<Self, Unavailable> {
        let garbage = || Unavailable::new("authdaemond's answer is incomplete or garbage");
        let mut attributes = Vec::new();
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            if line == b".\n" {
                return Ok(Attributes(attributes));
            }
            let line = line.strip_suffix(b"\n").ok_or_else(garbage)?;
            let equals = line.iter().position(|&octet| octet == b'=').ok_or_else(garbage)?;
            attributes.push((&line[..equals], &line[equals + 1..]));
        }
        Err(garbage())
    }

    fn account(&self) -> Result<Account, Unavailable> {
        let address = text("address", self.required("ADDRESS")?)?;
        let home = path("home", self.required("HOME")?)?;
        Ok(Account {
            address,
            ids: self.ids()?,
            home: home.ok_or_else(|| Unavailable::new("the account's home is empty"))?,
            maildir: path("Maildir", self.optional("MAILDIR")?.unwrap_or_default())?,
            quota: self.optional("QUOTA")?.map(|value| text("quota", value)).transpose()?,
            full_name: self.optional("NAME")?.map(|value| text("full name", value)).transpose()?,
            options: Options::parse(self.optional("OPTIONS")?.unwrap_or_default()),
        })
    }

    /// From USERNAME if there is one, as the mail programs take them.
    fn ids(&self) -> Result<Ids, Unavailable> {
        if let Some(name) = self.optional("USERNAME")? {
            let name = std::str::from_utf8(name)
                .map_err(|_| Unavailable::new("the account's system user does not exist"))?;
            return Ids::of_user(name);
        }
        Ids::numeric(id("uid", self.required("UID")?)?, id("gid", self.required("GID")?)?)
    }

    /// The value of `name`. An attribute given twice is garbage: it must not
    /// depend on who reads it which one counts.
    fn optional(&self, name: &str) -> Result<Option<&'a [u8]>, Unavailable> {
        let mut values = self.0.iter().filter(|(candidate, _)| *candidate == name.as_bytes());
        match (values.next(), values.next()) {
            (first, None) => Ok(first.map(|(_, value)| *value)),
            (_, Some(_)) => Err(Unavailable::new(format!("authdaemond's answer has {name} twice"))),
        }
    }

    fn required(&self, name: &str) -> Result<&'a [u8], Unavailable> {
        self.optional(name)?
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Unavailable::new(format!("authdaemond's answer has no {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{is_complete, verdict};
    use proptest::prelude::*;
    use std::path::Path;

    const BOB: &[u8] = b"UID=5000\nGID=5001\nHOME=/home/bob\nADDRESS=bob@example.com\nNAME=Bob Builder\n\
        MAILDIR=Maildir\nQUOTA=100000S,100C\nPASSWD={SHA256}K7gNU3s=\nPASSWD2=secret\n\
        OPTIONS=disableinsecurepop3=0,foo=bar\n.\n";

    #[test]
    fn every_attribute_finds_its_place() {
        let account = verdict(BOB).unwrap().unwrap();
        assert_eq!(account.address, b"bob@example.com");
        assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
        assert_eq!(account.home, Path::new("/home/bob"));
        assert_eq!(account.maildir.as_deref(), Some(Path::new("Maildir")));
        assert_eq!(account.quota.as_deref(), Some(b"100000S,100C".as_slice()));
        assert_eq!(account.full_name.as_deref(), Some(b"Bob Builder".as_slice()));
        assert_eq!(account.options.as_bytes(), b"disableinsecurepop3=0,foo=bar");
    }

    #[test]
    fn a_system_users_ids_are_looked_up() {
        let account = verdict(b"USERNAME=nobody\nGID=1\nHOME=/\nADDRESS=x\n.\n").unwrap().unwrap();
        assert_eq!(Some((account.ids.uid(), account.ids.gid())), system::user::by_name("nobody").unwrap());
        assert!(verdict(b"USERNAME=root\nGID=1\nHOME=/\nADDRESS=x\n.\n").is_err());
        assert!(verdict(b"USERNAME=\xff\nGID=1\nHOME=/\nADDRESS=x\n.\n").is_err());
    }

    #[test]
    fn an_account_that_lacks_something_or_is_root_is_unusable() {
        for answer in [
            "GID=1\nHOME=/h\nADDRESS=a\n.\n",
            "UID=1\nHOME=/h\nADDRESS=a\n.\n",
            "UID=1\nGID=1\nADDRESS=a\n.\n",
            "UID=1\nGID=1\nHOME=\nADDRESS=a\n.\n",
            "UID=1\nGID=1\nHOME=/h\n.\n",
            "UID=0\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
            "UID=1\nGID=0\nHOME=/h\nADDRESS=a\n.\n",
            "UID=\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
            "UID=x\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
            "UID=1\nUID=2\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
            ".\n",
        ] {
            assert!(verdict(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn anything_but_a_whole_answer_is_neither_yes_nor_no() {
        for answer in
            ["", "FAIL", "FAIL\nFAIL\n", "OK\n", "fail\n", "\n.\n", "UID=1\nGID=1\nHOME=/h\nADDRESS=a\n."]
        {
            assert!(verdict(answer.as_bytes()).is_err(), "{answer:?}");
        }
        assert_eq!(verdict(b"FAIL\n"), Ok(None));
    }

    proptest! {
        #[test]
        fn a_cut_answer_is_never_an_account(cut in 0..BOB.len()) {
            prop_assert!(!is_complete(&BOB[..cut]));
            prop_assert!(verdict(&BOB[..cut]).is_err());
        }

        #[test]
        fn no_answer_does_harm(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (is_complete(&octets), verdict(&octets));
        }

        #[test]
        fn no_account_is_ever_root(uid in "[0-9a]{0,11}", gid in "[0-9a]{0,11}") {
            let answer = format!("UID={uid}\nGID={gid}\nHOME=/h\nADDRESS=a\n.\n");
            if let Ok(Some(account)) = verdict(answer.as_bytes()) {
                prop_assert!(account.ids.uid() != 0 && account.ids.gid() != 0);
            }
        }
    }
}
