//! What is answered: an account, attribute by attribute, or a word
//! (reference: authlib 3.3).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::account::{Account, Ids, Unavailable, Verdict, id, path, text};
use crate::module::{Changed, Entry};
use crate::options::Options;
use crate::scram::Salt;
use crate::secret::Secret;

/// No module accepts.
pub const FAIL: &[u8] = b"FAIL\n";
/// The new password is in force.
pub const OK: &[u8] = b"OK\n";
/// It cannot be told now. Ours, and for a module program under a postrider
/// alone, which says so by [`PIPE`] (ledger 411); everybody else closes the
/// connection without a word.
pub const UNAVAILABLE: &[u8] = b"UNAVAILABLE\n";
/// What a refusal begins with; the seconds follow for which it would be the same.
/// Ours, for clients that have said [`OURS`](super::request::OURS) (ledger 471).
const REFUSED: &[u8] = b"REFUSED ";
/// The end of an account, and of a list of accounts.
pub const END: &[u8] = b".\n";

/// Set in the environment of a module program whose caller knows the word
/// [`UNAVAILABLE`].
pub const PIPE: &str = "POSTRIDER_PIPE";

/// Most octets of an answer that is no list.
pub const LIMIT: usize = 8191;

/// The attribute that answers the first question of SCRAM, `iterations:salt`
/// (ledger 426).
const SALT: &str = "SALT";
/// The attribute that holds the ServerSignature of SCRAM, in base64; Courier's
/// clients pass over it (ledger 427).
const SIGNATURE: &str = "SERVERSIGNATURE";

/// Whether nothing more is to be expected behind `octets`, an answer to
/// anything but ENUMERATE.
#[must_use]
pub fn is_complete(octets: &[u8]) -> bool {
    [FAIL, OK, UNAVAILABLE].contains(&octets)
        || octets.starts_with(REFUSED) && octets.ends_with(b"\n")
        || octets.starts_with(END)
        || octets.windows(3).any(|window| window == b"\n.\n")
}

/// What the answer to AUTH or PRE says.
///
/// Anything that is not exactly one whole answer, or that describes an account
/// that cannot be used, is *unavailable*.
#[must_use]
pub fn verdict(octets: &[u8]) -> Verdict {
    match octets {
        b"" => Unavailable::new("closed the connection without an answer").into(),
        FAIL => Verdict::Reject,
        UNAVAILABLE => Unavailable::new("cannot tell").into(),
        _ if octets.starts_with(REFUSED) => match refused_for(octets) {
            Some(time) => Unavailable::after_too_many_failures(time).into(),
            None => garbage().into(),
        },
        _ => match Attributes::parse(octets).and_then(|attributes| attributes.account()) {
            Ok(account) => Verdict::Accept(account),
            Err(reason) => reason.into(),
        },
    }
}

/// What the answer to a question for a salt says: `None` if SCRAM cannot be
/// had for anybody there, which is what FAIL means (ledger 426).
///
/// # Errors
/// If it is anything but exactly one whole answer.
pub fn salt(octets: &[u8]) -> Result<Option<Salt>, Unavailable> {
    match octets {
        b"" => Err(Unavailable::new("closed the connection without an answer")),
        FAIL => Ok(None),
        UNAVAILABLE => Err(Unavailable::new("cannot tell")),
        _ => match Attributes::parse(octets)?.required(SALT).map(Salt::decode)? {
            Some(salt) => Ok(Some(salt)),
            None => Err(garbage()),
        },
    }
}

/// The answer that names `salt`.
#[must_use]
pub fn with_salt(salt: &Salt) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{SALT}={}\n.\n", salt.encode()).into_bytes())
}

/// The answer to somebody of whom too many logins have failed: for so many
/// `seconds` nobody will be asked.
#[must_use]
pub fn refusal(seconds: u64) -> Vec<u8> {
    [REFUSED, seconds.to_string().as_bytes(), b"\n"].concat()
}

fn refused_for(octets: &[u8]) -> Option<Duration> {
    let digits = octets.strip_prefix(REFUSED)?.strip_suffix(b"\n")?;
    let digits =
        str::from_utf8(digits).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
    digits.parse().ok().map(Duration::from_secs)
}

/// The stored password in the answer that `octets` are, if it is an account
/// and has one.
#[must_use]
pub fn stored_password(octets: &[u8]) -> Option<&[u8]> {
    let attributes = Attributes::parse(octets).ok()?;
    attributes.optional("PASSWD").ok()?.filter(|stored| !stored.is_empty())
}

/// What the answer to PASSWD says.
#[must_use]
pub fn changed(octets: &[u8]) -> Changed {
    match octets {
        OK => Changed::Done,
        FAIL => Changed::Reject,
        b"" => Unavailable::new("closed the connection without an answer").into(),
        UNAVAILABLE => Unavailable::new("cannot tell").into(),
        _ => garbage().into(),
    }
}

/// What a line of the answer to ENUMERATE says.
#[derive(Debug, PartialEq, Eq)]
pub enum ListLine {
    /// An account.
    Account(Entry),
    /// `# module`, or nothing: what follows is of another module.
    Heading,
    /// `.`: the list is whole.
    End,
}

/// Understands a line, without its end, of the answer to ENUMERATE.
///
/// # Errors
/// If it is none.
pub fn list_line(line: &[u8]) -> Result<ListLine, Unavailable> {
    if line == b"." {
        return Ok(ListLine::End);
    }
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(ListLine::Heading);
    }
    let fields: Vec<&[u8]> = line.split(|&octet| octet == b'\t').collect();
    let (name, uid, gid, home, maildir, options) = match *fields.as_slice() {
        [name, uid, gid, home, maildir] => (name, uid, gid, home, maildir, b"".as_slice()),
        [name, uid, gid, home, maildir, options] => (name, uid, gid, home, maildir, options),
        _ => return Err(garbage()),
    };
    Ok(ListLine::Account(Entry {
        name: text("name", name)?,
        uid: id("uid", uid)?,
        gid: id("gid", gid)?,
        home: path("home", home)?.unwrap_or_default(),
        maildir: path("Maildir", maildir)?,
        options: Options::parse(options),
    }))
}

/// The answer that describes `account`, in the order in which Courier's
/// authdaemond gives the attributes, with `defaults` behind its own options.
///
/// # Errors
/// If a value holds a NUL or a line end, which no line can carry.
pub fn account(account: &Account, defaults: &Options) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
    let (uid, gid) = (account.ids.uid().to_string(), account.ids.gid().to_string());
    let options = account.options.with_defaults(defaults);
    let secret = |secret: &'_ Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_vec());
    let (stored, clear) =
        (Zeroizing::new(secret(&account.stored_password)), Zeroizing::new(secret(&account.clear_password)));
    let signature = account.server_signature.as_ref().map(|octets| STANDARD.encode(octets));
    let user = match account.ids.user() {
        Some(name) => ("USERNAME", Some(name.as_bytes())),
        None => ("UID", Some(uid.as_bytes())),
    };
    let attributes = [
        user,
        ("GID", Some(gid.as_bytes())),
        ("HOME", Some(octets_of(&account.home))),
        ("ADDRESS", Some(account.address.as_slice())),
        ("NAME", account.full_name.as_deref().map(before_comma).filter(|name| !name.is_empty())),
        ("MAILDIR", account.maildir.as_deref().map(octets_of)),
        ("QUOTA", account.quota.as_deref()),
        ("PASSWD", stored.as_deref()),
        ("PASSWD2", clear.as_deref()),
        ("OPTIONS", Some(options.as_bytes()).filter(|options| !options.is_empty())),
        (SIGNATURE, signature.as_deref().map(str::as_bytes)),
    ];
    let octets = attributes.iter().map(|(name, value)| name.len() + 2 + value.map_or(0, <[u8]>::len));
    // Reserved at once: a vector that grows would leave passwords behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(octets.sum::<usize>() + END.len()));
    for (name, value) in attributes {
        let Some(value) = value else { continue };
        if value.iter().any(|octet| matches!(octet, 0 | b'\n')) {
            return Err(Unavailable::new(format!("the account's {name} holds a NUL or a line end")));
        }
        [name.as_bytes(), b"=", value, b"\n"].iter().for_each(|part| answer.extend_from_slice(part));
    }
    answer.extend_from_slice(END);
    Ok(answer)
}

/// The line of an account in the answer to ENUMERATE; `None` if a value holds
/// an octet that would break it.
#[must_use]
pub fn entry(entry: &Entry) -> Option<Vec<u8>> {
    let (uid, gid) = (entry.uid.to_string(), entry.gid.to_string());
    let maildir = entry.maildir.as_deref().map(octets_of).unwrap_or_default();
    let fields = [
        &entry.name,
        uid.as_bytes(),
        gid.as_bytes(),
        octets_of(&entry.home),
        maildir,
        entry.options.as_bytes(),
    ];
    let breaks = |field: &&[u8]| field.iter().any(|octet| matches!(octet, 0 | b'\n' | b'\t'));
    // Neither the end of the list nor a heading may be somebody's name.
    let is_name = !entry.name.is_empty() && !entry.name.starts_with(b"#");
    (is_name && !fields.iter().any(breaks)).then(|| {
        let mut line = fields.join(&b'\t');
        line.push(b'\n');
        line
    })
}

/// What stands before the accounts of `module` in a list.
#[must_use]
pub fn heading(module: &str) -> Vec<u8> {
    format!("# {module}\n\n").into_bytes()
}

fn octets_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The full name in a gecos field.
fn before_comma(name: &[u8]) -> &[u8] {
    name.split(|&octet| octet == b',').next().unwrap_or(name)
}

fn signature(base64: &[u8]) -> Result<Vec<u8>, Unavailable> {
    STANDARD.decode(base64).map_err(|_| garbage())
}

fn garbage() -> Unavailable {
    Unavailable::new("the answer is incomplete or garbage")
}

/// The `NAME=value` lines before the final `.`.
struct Attributes<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Attributes<'a> {
    fn parse(octets: &'a [u8]) -> Result<Self, Unavailable> {
        let mut attributes = Vec::new();
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            if line == END {
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
            stored_password: self.optional("PASSWD")?.map(Secret::copy_of),
            clear_password: self.optional("PASSWD2")?.map(Secret::copy_of),
            options: Options::parse(self.optional("OPTIONS")?.unwrap_or_default()),
            server_signature: self.optional(SIGNATURE)?.map(signature).transpose()?,
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
            (_, Some(_)) => Err(Unavailable::new(format!("the answer has {name} twice"))),
        }
    }

    fn required(&self, name: &str) -> Result<&'a [u8], Unavailable> {
        self.optional(name)?
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Unavailable::new(format!("the answer has no {name}")))
    }
}

#[cfg(test)]
mod tests;
