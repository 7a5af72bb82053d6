//! Whose mail it is that a good token opens: the account called so in another
//! module, or one that is made of the name.

use std::path::PathBuf;

use authlib::account::{self, Account, Ids, Unavailable};
use authlib::printable::{has_control, reason};
use authlib::{Client, Module, Verdict};

use crate::No;
use crate::rules::parts;

/// Where accounts are.
pub(crate) enum Accounts {
    /// In another module.
    Elsewhere(Box<dyn Module>),
    /// Nowhere: they are all alike.
    Made(Template),
}

impl Accounts {
    /// The account called `name`, whose owner has shown a good token.
    pub(crate) fn of_owner(&mut self, service: &[u8], name: &[u8], client: &Client) -> Result<Account, No> {
        match self {
            Accounts::Elsewhere(module) => match module.look_up(service, name, client) {
                Verdict::Accept(account) => Ok(without_passwords(account)),
                Verdict::Reject => Err(No::Rejected("there is no such account")),
                Verdict::Unavailable(reason) => Err(reason.into()),
            },
            Accounts::Made(template) => template.account(name),
        }
    }

    /// The account called `name`, for somebody who only asks. One that would be
    /// made of any name is known if it has a home.
    pub(crate) fn look_up(&mut self, service: &[u8], name: &[u8], client: &Client) -> Result<Account, No> {
        let account = self.of_owner(service, name, client)?;
        if let Accounts::Made(_) = self {
            match account.home.metadata() {
                Ok(kind) if kind.is_dir() => {}
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Unavailable::new(format!("the account's home: {}", reason(&error))).into());
                }
                _ => return Err(No::Rejected("there is no such account")),
            }
        }
        Ok(account)
    }

    /// Lets the other module get ready.
    pub(crate) fn prepare(&mut self) -> Result<(), Unavailable> {
        match self {
            Accounts::Elsewhere(module) => module.prepare(),
            Accounts::Made(_) => Ok(()),
        }
    }

    /// Lets the other module let go of what it holds.
    pub(crate) fn idle(&mut self) {
        if let Accounts::Elsewhere(module) = self {
            module.idle();
        }
    }
}

/// Who has shown a token is not told a password for it.
fn without_passwords(account: Account) -> Account {
    Account { stored_password: None, clear_password: None, ..account }
}

/// Accounts that differ by their names alone.
#[derive(Debug)]
pub struct Template {
    /// Whose their files are.
    pub ids: Ids,
    /// Their homes.
    pub home: Pattern,
    /// Their Maildirs, if not the usual ones.
    pub maildir: Option<Pattern>,
}

impl Template {
    /// The account called `name`.
    ///
    /// # Errors
    /// A part of the name cannot stand in a path.
    pub fn account(&self, name: &[u8]) -> Result<Account, No> {
        let path = |setting, pattern: &Pattern| Ok::<_, No>(account::path(setting, &pattern.filled(name)?)?);
        let home = path("home", &self.home)?.ok_or("its name makes no path")?;
        let maildir = self.maildir.as_ref().map(|pattern| path("maildir", pattern)).transpose()?.flatten();
        Ok(Account { maildir, ..Account::new(name.to_vec(), self.ids.clone(), home) })
    }
}

/// A path with holes, such as `/srv/mail/$(domain)/$(local_part)`.
#[derive(Debug)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    LocalPart,
    Domain,
    Name,
}

impl Pattern {
    /// The pattern that the value of `setting` is. Its holes are
    /// `$(local_part)`, `$(domain)` and `$(username)`, which is both with the
    /// `@` between them.
    ///
    /// # Errors
    /// There is another hole.
    pub fn parse(setting: &str, value: &str) -> Result<Self, Unavailable> {
        let mut pieces = Vec::new();
        let mut rest = value;
        while let Some((text, hole)) = rest.split_once("$(") {
            let hole = hole.split_once(')');
            let (name, behind) = hole.ok_or_else(|| Unavailable::new(format!("{setting} lacks a )")))?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(match name {
                "local_part" => Piece::LocalPart,
                "domain" => Piece::Domain,
                "username" => Piece::Name,
                _ => return Err(Unavailable::new(format!("{setting} has an unknown variable"))),
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Pattern(pieces))
    }

    /// The same as a path from the root.
    ///
    /// # Errors
    /// As [`Pattern::parse`]; or it begins anywhere else.
    pub fn absolute(setting: &str, value: &str) -> Result<Self, Unavailable> {
        if !PathBuf::from(value).is_absolute() {
            return Err(Unavailable::new(format!("{setting} does not begin with /")));
        }
        Pattern::parse(setting, value)
    }

    /// The path for `name`. What is put into a hole stays within one name of a
    /// directory, and is none that is hidden, or leads upwards.
    fn filled(&self, name: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (local, domain) = parts(name);
        let mut path = Vec::new();
        for piece in &self.0 {
            path.extend_from_slice(match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::LocalPart => harmless(local)?,
                Piece::Domain => harmless(domain.ok_or("its name has no domain")?)?,
                Piece::Name => harmless(name)?,
            });
        }
        Ok(path)
    }
}

fn harmless(part: &[u8]) -> Result<&[u8], &'static str> {
    let is_harmless =
        !part.is_empty() && !part.starts_with(b".") && !part.contains(&b'/') && !has_control(part);
    if is_harmless { Ok(part) } else { Err("its name cannot stand in a path") }
}

#[cfg(test)]
mod tests {
    use super::{Accounts, Pattern, Template};
    use crate::No;
    use authlib::{Client, Ids};
    use std::path::Path;

    fn template(home: &str, maildir: Option<&str>) -> Template {
        Template {
            ids: Ids::numeric(5000, 5001).unwrap(),
            home: Pattern::absolute("OAUTH2_HOME", home).unwrap(),
            maildir: maildir.map(|text| Pattern::parse("OAUTH2_MAILDIR", text).unwrap()),
        }
    }

    #[test]
    fn an_account_is_made_of_its_name() {
        let template = template("/srv/$(domain)/$(local_part)", Some("mail-$(username)"));
        let account = template.account(b"alice@example.com").unwrap();
        assert_eq!(account.home, Path::new("/srv/example.com/alice"));
        assert_eq!(account.maildir.unwrap(), Path::new("mail-alice@example.com"));
        assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
        assert_eq!(account.address, b"alice@example.com");
        let account = template.account(b"\"a@b\"@example.com").unwrap();
        assert_eq!(account.home, Path::new("/srv/example.com/\"a@b\""));
        assert_eq!(self::template("/srv/mail", None).account(b"../x").unwrap().home, Path::new("/srv/mail"));
    }

    #[test]
    fn no_name_leads_out_of_its_place() {
        let template = template("/srv/$(domain)/$(local_part)", None);
        for name in [
            "../../etc@example.com",
            "..@example.com",
            ".@example.com",
            ".ssh@example.com",
            "a/b@example.com",
            "/etc@example.com",
            "@example.com",
            "alice@",
            "alice@..",
            "alice@../../etc",
            "alice@.",
            "a\0b@example.com",
            "a\nb@example.com",
            "a\x7fb@example.com",
        ] {
            let no = template.account(name.as_bytes()).unwrap_err();
            assert_eq!(no, No::Rejected("its name cannot stand in a path"), "{name:?}");
        }
        assert_eq!(template.account(b"alice").unwrap_err(), No::Rejected("its name has no domain"));
        let whole = self::template("/srv/$(username)", None);
        assert!(whole.account(b"alice").is_ok() && whole.account(b"alice/../bob").is_err());
    }

    #[test]
    fn a_pattern_has_no_other_holes() {
        for text in ["/srv/$(user)", "/srv/$(local_part", "/srv/$()", "/srv/$(LOCAL_PART)"] {
            assert!(Pattern::parse("OAUTH2_HOME", text).is_err(), "{text}");
        }
        assert!(Pattern::absolute("OAUTH2_HOME", "srv/$(local_part)").is_err());
        assert!(Pattern::absolute("OAUTH2_HOME", "$(local_part)").is_err());
        let odd = template("/srv/$local/$/(x)/$(local_part)", None).account(b"a").unwrap();
        assert_eq!(odd.home, Path::new("/srv/$local/$/(x)/a"));
    }

    #[test]
    fn who_has_no_home_is_not_known_to_somebody_who_only_asks() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("alice")).unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let home = format!("{}/$(local_part)", directory.path().display());
        let mut accounts = Accounts::Made(template(&home, None));
        let mut known =
            |name: &[u8]| accounts.look_up(b"pop3", name, &Client::default()).map(|account| account.home);
        assert_eq!(known(b"alice"), Ok(directory.path().join("alice")));
        for name in [b"bob".as_slice(), b"file", b".."] {
            assert!(matches!(known(name), Err(No::Rejected(_))));
        }
        let bob = accounts.of_owner(b"pop3", b"bob", &Client::default()).unwrap();
        assert_eq!(bob.home, directory.path().join("bob"));
    }
}
