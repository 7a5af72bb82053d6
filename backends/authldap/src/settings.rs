//! authldaprc, understood (reference: authlib 15).

use std::env;
use std::time::Duration;

use authlib::rcfile::Settings;
use authlib::{Secret, Unavailable};

use crate::ldap::filter::Filter;
use crate::ldap::message::{Deref, Search};
use crate::ldap::tls::Tls;
use crate::ldap::uri::Uri;

/// Seconds, unless LDAP_TIMEOUT says otherwise.
const TIMEOUT: u32 = 5;
/// Most seconds that it may say.
const LONGEST_TIMEOUT: u32 = 600;

/// What authldaprc says.
pub(crate) struct Config {
    pub(crate) servers: Servers,
    /// LDAP_AUTHBIND
    pub(crate) is_bind_proof: bool,
    pub(crate) base: String,
    /// LDAP_FILTER
    pub(crate) filter: Option<Filter>,
    /// LDAP_ENUMERATE_FILTER, else LDAP_FILTER
    pub(crate) enumerate_filter: Option<Filter>,
    /// LDAP_DOMAIN, with its at sign
    pub(crate) domain: Option<Vec<u8>>,
    pub(crate) deref: Deref,
    pub(crate) email_map: Option<EmailMap>,
    pub(crate) attributes: Attributes,
    /// LDAP_MAILROOT
    pub(crate) mail_root: Option<Vec<u8>>,
    /// LDAP_GLOB_UID
    pub(crate) everybodys_uid: Option<u32>,
    /// LDAP_GLOB_GID
    pub(crate) everybodys_gid: Option<u32>,
}

impl Config {
    /// `user` with LDAP_DOMAIN, unless it has a domain.
    pub(crate) fn in_domain(&self, user: &[u8]) -> Vec<u8> {
        match &self.domain {
            Some(domain) if !user.contains(&b'@') => [user, domain].concat(),
            _ => user.to_vec(),
        }
    }

    /// A search of everything below `base`, for at most so many entries.
    pub(crate) fn search<'a>(
        &self,
        base: &'a str,
        most: u32,
        filter: &'a [u8],
        attributes: &'a [&'a str],
    ) -> Search<'a> {
        Search { base, deref: self.deref, most, filter, attributes }
    }
}

/// Which servers there are, and how each is spoken to.
#[derive(Clone)]
pub(crate) struct Servers {
    /// LDAP_URI, in the order in which they are tried.
    pub(crate) uris: Vec<Uri>,
    /// LDAP_TIMEOUT
    pub(crate) timeout: Duration,
    /// LDAP_TLS: StartTLS on `ldap://`
    pub(crate) start_tls: bool,
    pub(crate) tls: Tls,
}

/// Whom to bind as first. (LDAP_INITBIND, LDAP_BINDDN, LDAP_BINDPW)
pub(crate) struct Identity {
    pub(crate) dn: String,
    pub(crate) password: Secret,
}

/// The search before the search. (LDAP_EMAILMAP…)
pub(crate) struct EmailMap {
    pub(crate) filter: Filter,
    pub(crate) base: String,
    /// Where the handle is.
    pub(crate) attribute: String,
    /// What the handle is compared with.
    pub(crate) mail: String,
}

/// What things are called in the directory.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) mail: String,
    pub(crate) home: String,
    pub(crate) maildir: Option<String>,
    pub(crate) quota: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) gid: Option<String>,
    pub(crate) delivery: Option<String>,
    pub(crate) clear_password: Option<String>,
    pub(crate) crypt_password: Option<String>,
    /// Attribute, and the option that it becomes.
    pub(crate) options: Vec<(String, String)>,
}

impl Attributes {
    /// Those that an account is made of.
    pub(crate) fn of_account(&self) -> Vec<&str> {
        let optional =
            [&self.maildir, &self.quota, &self.full_name, &self.uid, &self.gid, &self.delivery].into_iter();
        let options = self.options.iter().map(|(attribute, _)| attribute.as_str());
        [self.mail.as_str(), &self.home]
            .into_iter()
            .chain(optional.flatten().map(String::as_str))
            .chain(options)
            .collect()
    }

    /// Those that passwords are in.
    pub(crate) fn of_passwords(&self) -> impl Iterator<Item = &str> {
        self.clear_password.iter().chain(&self.crypt_password).map(String::as_str)
    }
}

/// What `settings` say, and whom to bind as first. Version 3 is spoken in any
/// case (ledger 745).
pub(crate) fn understood(settings: &Settings) -> Result<(Config, Option<Identity>), Unavailable> {
    if settings.number::<u32>("LDAP_PROTOCOL_VERSION")?.is_some_and(|version| !matches!(version, 0 | 3)) {
        settings.not_honoured("LDAP_PROTOCOL_VERSION", "version 3 is spoken, others are history (RFC 3494)");
    }
    let config = Config {
        servers: servers(settings)?,
        is_bind_proof: settings.is_on("LDAP_AUTHBIND")?,
        base: settings.required("LDAP_BASEDN")?.to_owned(),
        filter: filter(settings, "LDAP_FILTER")?,
        enumerate_filter: filter(settings, "LDAP_ENUMERATE_FILTER")?.or(filter(settings, "LDAP_FILTER")?),
        domain: settings
            .get("LDAP_DOMAIN")
            .map(|domain| [b"@", domain.strip_prefix(b"@").unwrap_or(domain)].concat()),
        deref: deref(settings)?,
        email_map: email_map(settings)?,
        attributes: attributes(settings)?,
        mail_root: settings.get("LDAP_MAILROOT").map(<[u8]>::to_vec),
        everybodys_uid: everybodys(settings, "LDAP_GLOB_UID", |name| {
            Ok(system::user::by_name(name)?.map(|(uid, _)| uid))
        })?,
        everybodys_gid: everybodys(settings, "LDAP_GLOB_GID", system::user::group_by_name)?,
    };
    for (everybodys, own, name) in [
        (config.everybodys_uid, &config.attributes.uid, "UID"),
        (config.everybodys_gid, &config.attributes.gid, "GID"),
    ] {
        if everybodys.is_none() && own.is_none() {
            return Err(Unavailable::new(format!("neither LDAP_{name} nor LDAP_GLOB_{name} is set")));
        }
    }
    if !config.is_bind_proof && config.attributes.of_passwords().next().is_none() {
        return Err(Unavailable::new("none of LDAP_CLEARPW, LDAP_CRYPTPW and LDAP_AUTHBIND is set"));
    }
    let identity = identity(settings)?;
    Ok((config, identity))
}

fn servers(settings: &Settings) -> Result<Servers, Unavailable> {
    let uris = Uri::list(settings.required("LDAP_URI")?)
        .ok_or_else(|| Unavailable::new("LDAP_URI is no list of ldap://, ldaps:// and ldapi:// addresses"))?;
    let seconds = settings.number("LDAP_TIMEOUT")?.unwrap_or(TIMEOUT);
    if !(1..=LONGEST_TIMEOUT).contains(&seconds) {
        return Err(Unavailable::new(format!("LDAP_TIMEOUT is not from 1 to {LONGEST_TIMEOUT}")));
    }
    for name in Tls::not_honoured(env::vars_os().map(|(name, _)| name)) {
        settings.remark(format!("{name} in the environment is not honoured"));
    }
    Ok(Servers {
        uris,
        timeout: Duration::from_secs(seconds.into()),
        start_tls: settings.is_on("LDAP_TLS")?,
        tls: Tls::new(|name| env::var_os(name))?,
    })
}

fn identity(settings: &Settings) -> Result<Option<Identity>, Unavailable> {
    let is_first = settings.is_on("LDAP_INITBIND")?;
    let dn = settings.text("LDAP_BINDDN")?;
    let password = settings.get("LDAP_BINDPW").map(Secret::copy_of);
    match (is_first, dn, password) {
        (false, None, _) => Ok(None),
        (false, Some(_), _) => {
            settings.not_honoured("LDAP_BINDDN", "LDAP_INITBIND is not set");
            Ok(None)
        }
        (true, Some(dn), Some(password)) => Ok(Some(Identity { dn: dn.to_owned(), password })),
        (true, _, _) => Err(Unavailable::new("LDAP_INITBIND needs LDAP_BINDDN and LDAP_BINDPW")),
    }
}

fn email_map(settings: &Settings) -> Result<Option<EmailMap>, Unavailable> {
    let base = settings.text("LDAP_EMAILMAP_BASEDN")?;
    let handle = attribute(settings, "LDAP_EMAILMAP_ATTRIBUTE")?;
    let mail = attribute(settings, "LDAP_EMAILMAP_MAIL")?;
    let Some(text) = settings.text("LDAP_EMAILMAP")? else { return Ok(None) };
    let usual = |name: &str| settings.text(name).map(|found| found.unwrap_or_default().to_owned());
    Ok(Some(EmailMap {
        filter: Filter::parse_with_places(text).map_err(|no_filter| no_filter.of("LDAP_EMAILMAP"))?,
        base: base.map_or_else(|| usual("LDAP_BASEDN"), |base| Ok(base.to_owned()))?,
        attribute: handle.unwrap_or_else(|| "handle".to_owned()),
        mail: mail
            .map_or_else(|| Ok(attribute(settings, "LDAP_MAIL")?.unwrap_or_else(|| "mail".to_owned())), Ok)?,
    }))
}

fn attributes(settings: &Settings) -> Result<Attributes, Unavailable> {
    let attribute = |name| attribute(settings, name);
    Ok(Attributes {
        mail: attribute("LDAP_MAIL")?.unwrap_or_else(|| "mail".to_owned()),
        home: attribute("LDAP_HOMEDIR")?.unwrap_or_else(|| "homeDir".to_owned()),
        maildir: attribute("LDAP_MAILDIR")?,
        quota: attribute("LDAP_MAILDIRQUOTA")?,
        full_name: attribute("LDAP_FULLNAME")?,
        uid: attribute("LDAP_UID")?,
        gid: attribute("LDAP_GID")?,
        delivery: attribute("LDAP_DEFAULTDELIVERY")?,
        clear_password: attribute("LDAP_CLEARPW")?,
        crypt_password: attribute("LDAP_CRYPTPW")?,
        options: options(settings)?,
    })
}

/// The name of an attribute (RFC 4512 section 2.5).
fn attribute(settings: &Settings, name: &str) -> Result<Option<String>, Unavailable> {
    match settings.text(name)? {
        Some(text) if !is_attribute(text) => Err(Unavailable::new(format!("{name} is no attribute"))),
        text => Ok(text.map(str::to_owned)),
    }
}

fn is_attribute(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.;".contains(&octet))
}

/// `attribute=option,attribute=option`
fn options(settings: &Settings) -> Result<Vec<(String, String)>, Unavailable> {
    let text = settings.text("LDAP_AUXOPTIONS")?.unwrap_or_default();
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| match pair.split_once('=') {
        Some((attribute, option)) if is_attribute(attribute) && !option.is_empty() => {
            Ok((attribute.to_owned(), option.to_owned()))
        }
        _ => Err(Unavailable::new("LDAP_AUXOPTIONS is no list of attribute=option")),
    });
    pairs.collect()
}

fn filter(settings: &Settings, name: &str) -> Result<Option<Filter>, Unavailable> {
    settings.text(name)?.map(|text| Filter::parse(text).map_err(|no_filter| no_filter.of(name))).transpose()
}

impl crate::ldap::filter::NoFilter {
    fn of(self, setting: &str) -> Unavailable {
        Unavailable::new(format!("{setting} is no filter, at octet {}", self.0))
    }
}

fn deref(settings: &Settings) -> Result<Deref, Unavailable> {
    match settings.text("LDAP_DEREF")?.unwrap_or("never").to_ascii_lowercase().as_str() {
        "never" => Ok(Deref::Never),
        "searching" => Ok(Deref::Searching),
        "finding" => Ok(Deref::Finding),
        "always" => Ok(Deref::Always),
        _ => Err(Unavailable::new("LDAP_DEREF is none of never, searching, finding, always")),
    }
}

/// An id for everybody: a number, or a name that `by_name` knows (ledger 740).
/// Not root's.
fn everybodys(
    settings: &Settings,
    name: &str,
    by_name: impl Fn(&str) -> std::io::Result<Option<u32>>,
) -> Result<Option<u32>, Unavailable> {
    let Some(text) = settings.text(name)? else { return Ok(None) };
    let id = match text.bytes().all(|octet| octet.is_ascii_digit()) {
        true => text.parse().ok(),
        false => by_name(text)
            .map_err(|error| Unavailable::new(format!("{name}: {}", authlib::printable::reason(&error))))?,
    };
    match id {
        Some(0) => Err(Unavailable::new(format!("{name} is root's"))),
        None => Err(Unavailable::new(format!("{name} is neither a number nor a name that is known"))),
        id => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, understood};
    use crate::ldap::message::Deref;
    use authlib::rcfile::Settings;

    const LEAST: &str = "LDAP_URI ldap://a\nLDAP_BASEDN o=b\nLDAP_CRYPTPW userPassword\nLDAP_GLOB_UID 5000\nLDAP_GLOB_GID 5001\n";

    fn read(text: &str) -> (Result<Config, String>, Vec<String>) {
        let settings = Settings::parse(format!("{text}\n##NAME: MARKER:0\n").as_bytes()).unwrap();
        let config = understood(&settings).map(|(config, _)| config).map_err(|error| error.to_string());
        (config, settings.remarks())
    }

    #[test]
    fn what_is_not_set_has_couriers_defaults() {
        let (config, remarks) = read(LEAST);
        let config = config.unwrap();
        assert_eq!((config.attributes.mail.as_str(), config.attributes.home.as_str()), ("mail", "homeDir"));
        assert_eq!(config.servers.timeout.as_secs(), 5);
        assert_eq!(config.deref, Deref::Never);
        assert_eq!((config.everybodys_uid, config.everybodys_gid), (Some(5000), Some(5001)));
        assert!(!config.is_bind_proof && !config.servers.start_tls);
        assert!(remarks.is_empty(), "{remarks:?}");
    }

    #[test]
    fn what_cannot_be_is_an_error_with_a_reason() {
        for (line, reason) in [
            ("LDAP_URI http://a", "LDAP_URI is no list"),
            ("LDAP_BASEDN \\\n", "LDAP_BASEDN is not set"),
            ("LDAP_TIMEOUT 0", "LDAP_TIMEOUT is not from 1 to"),
            ("LDAP_TIMEOUT 601", "LDAP_TIMEOUT is not from 1 to"),
            ("LDAP_TIMEOUT soon", "LDAP_TIMEOUT is not a number"),
            ("LDAP_PROTOCOL_VERSION x", "LDAP_PROTOCOL_VERSION is not a number"),
            ("LDAP_INITBIND 1", "LDAP_INITBIND needs"),
            ("LDAP_INITBIND yes", "LDAP_INITBIND is neither 0 nor 1"),
            ("LDAP_FILTER a=b", "LDAP_FILTER is no filter, at octet 0"),
            ("LDAP_EMAILMAP (a=@user@", "LDAP_EMAILMAP is no filter, at octet 9"),
            ("LDAP_MAIL a b", "LDAP_MAIL is no attribute"),
            ("LDAP_AUXOPTIONS shared", "LDAP_AUXOPTIONS is no list"),
            ("LDAP_AUXOPTIONS a=b,=c", "LDAP_AUXOPTIONS is no list"),
            ("LDAP_DEREF sometimes", "LDAP_DEREF is none of"),
            ("LDAP_GLOB_UID root", "LDAP_GLOB_UID is root's"),
            ("LDAP_GLOB_GID 0", "LDAP_GLOB_GID is root's"),
            ("LDAP_GLOB_UID no-such-user", "LDAP_GLOB_UID is neither"),
            ("LDAP_GLOB_GID 99999999999", "LDAP_GLOB_GID is neither"),
        ] {
            // The first of two counts.
            let error = read(&format!("{line}\n{LEAST}")).0.err().unwrap_or_default();
            assert!(error.starts_with(reason), "{line}: {error}");
        }
        for (missing, reason) in [
            ("LDAP_URI", "LDAP_URI is not set"),
            ("LDAP_CRYPTPW", "none of LDAP_CLEARPW, LDAP_CRYPTPW and LDAP_AUTHBIND"),
            ("LDAP_GLOB_UID", "neither LDAP_UID nor LDAP_GLOB_UID"),
            ("LDAP_GLOB_GID", "neither LDAP_GID nor LDAP_GLOB_GID"),
        ] {
            let error = read(&LEAST.replace(missing, "LDAP_X")).0.err().unwrap_or_default();
            assert!(error.starts_with(reason), "{missing}: {error}");
        }
    }

    #[test]
    fn what_is_not_honoured_is_said() {
        let (config, remarks) =
            read(&format!("{LEAST}LDAP_PROTOCOL_VERSION 2\nLDAP_BINDDN cn=a\nLDAP_BINDPW b\nLDAP_SERVER c"));
        assert!(config.is_ok());
        assert_eq!(
            remarks,
            [
                "LDAP_PROTOCOL_VERSION is not honoured: version 3 is spoken, others are history (RFC 3494)",
                "LDAP_BINDDN is not honoured: LDAP_INITBIND is not set",
                "LDAP_SERVER is not known, and not used"
            ]
        );
    }
}
