//! The account that an entry describes.

use authlib::Options;
use authlib::account::{Account, Ids, Unavailable, id, path, text};

use crate::ldap::entry::Entry;
use crate::passwords;
use crate::settings::Config;

/// The service for which LDAP_DEFAULTDELIVERY stands in for the Maildir.
const DELIVERY: &[u8] = b"courier";

/// The account that `entry` describes, by the `name` that was asked for.
///
/// Whoever gets here knows the password, or needs none, so an entry that
/// cannot be used is a fault of the directory, not of the client (ledger 748).
pub(crate) fn account(
    config: &Config,
    entry: &Entry,
    name: &[u8],
    service: &[u8],
) -> Result<Account, Unavailable> {
    let attributes = &config.attributes;
    let value = |attribute: &Option<String>| attribute.as_ref().and_then(|attribute| entry.value(attribute));
    let ids = Ids::numeric(
        number("uid", value(&attributes.uid), config.everybodys_uid)?,
        number("gid", value(&attributes.gid), config.everybodys_gid)?,
    )?;
    let home = entry.value(&attributes.home).ok_or_else(|| missing("home"))?;
    let home = match &config.mail_root {
        Some(root) => [root, b"/".as_slice(), home].concat(),
        None => home.to_vec(),
    };
    let home = path("home", &home)?.ok_or_else(|| missing("home"))?;
    let (clear_password, stored_password) = passwords::told(entry, attributes);
    let delivery = value(&attributes.delivery).filter(|_| service == DELIVERY);
    let maildir = delivery.or(value(&attributes.maildir)).unwrap_or_default();
    Ok(Account {
        maildir: path("Maildir", maildir)?,
        quota: value(&attributes.quota).map(|quota| text("quota", quota)).transpose()?,
        full_name: value(&attributes.full_name).map(|name| text("full name", name)).transpose()?,
        clear_password,
        stored_password,
        options: options(config, entry),
        ..Account::new(text("name", name)?, ids, home)
    })
}

fn missing(field: &str) -> Unavailable {
    Unavailable::new(format!("the account's {field} is missing"))
}

fn number(field: &str, own: Option<&[u8]>, everybodys: Option<u32>) -> Result<u32, Unavailable> {
    match own {
        Some(own) => id(field, own),
        None => everybodys.ok_or_else(|| missing(field)),
    }
}

/// LDAP_AUXOPTIONS. A value with a comma would be several options: it is left
/// out (ledger 746).
fn options(config: &Config, entry: &Entry) -> Options {
    let values = config.attributes.options.iter().filter_map(|(attribute, option)| {
        let value = entry.value(attribute).filter(|value| !value.contains(&b','))?;
        Some([option.as_bytes(), b"=", value].concat())
    });
    Options::parse(&values.collect::<Vec<_>>().join(&b','))
}
