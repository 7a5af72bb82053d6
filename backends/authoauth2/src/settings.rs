//! `authoauth2rc`, and what is made of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use authlib::Secret;
use authlib::account::{self, Ids, Unavailable};
use authlib::domain::DefaultDomain;
use authlib::rcfile::Settings;
use programs::modules;
use tlsclient::DEBIANS_AUTHORITIES;

use crate::No;
use crate::account::{Accounts, Pattern, Template};
use crate::claims::Claims;
use crate::introspection::{Client, ClientSecret, Introspection};
use crate::jwt::{self, Form};
use crate::key_set::KeySet;
use crate::key_source::{Cache, KeySource, Limits};
use crate::rules::Rules;
use crate::web::{Url, Web};

/// Clocks that differ by more are to be mended.
const MOST_LEEWAY: u32 = 600;
/// Who asks us has 20 seconds (`authlib::pipe`).
const MOST_PATIENCE: u32 = 15;

/// Everything that an administrator has said.
pub(crate) struct Setup {
    pub(crate) judge: Judge,
    pub(crate) rules: Rules,
    pub(crate) accounts: Accounts,
}

/// Who says what a token means.
pub(crate) enum Judge {
    /// The token itself, if it is signed.
    Signature {
        /// What tokens are like.
        form: Form,
        /// The keys of who signs them.
        keys: KeySource,
    },
    /// Who has made it.
    Issuer(Introspection),
}

impl Judge {
    /// What is said of `token`.
    pub(crate) fn claims(&mut self, token: &Secret, now: std::time::Instant) -> Result<Claims, No> {
        match self {
            Judge::Signature { form, keys } => keys.claims(&form.take_apart(token.expose())?, now),
            Judge::Issuer(introspection) => introspection.claims(token),
        }
    }

    /// What an administrator should hear before the first login.
    pub(crate) fn prepare(&self) -> Result<(), Unavailable> {
        match self {
            Judge::Signature { keys, .. } => keys.prepare(),
            Judge::Issuer(introspection) => introspection.client.secret.read().map(|_| ()),
        }
    }
}

impl Setup {
    /// # Errors
    /// What is wrong with `settings`, or missing.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Unavailable> {
        // Everything is asked for, so that what is unknown can be told.
        let (sources, rules) = (Sources::of(settings)?, rules(settings)?);
        let form = form(settings)?;
        let accounts = accounts(settings)?;
        let judge = sources.judge(form)?;
        let is_signed = matches!(judge, Judge::Signature { .. });
        if is_signed && (rules.issuer.is_none() || rules.audiences.is_empty()) {
            // A token that was made for somebody else's service would do.
            return Err(Unavailable::new("OAUTH2_ISSUER and OAUTH2_AUDIENCE have to be set"));
        }
        Ok(Setup { judge, rules: Rules { expiry_required: is_signed, ..rules }, accounts })
    }
}

/// The settings about who is asked, and how.
struct Sources {
    file: Option<PathBuf>,
    keys: Option<Url>,
    introspection: Option<Url>,
    client: Option<Client>,
    limits: Limits,
    authorities: PathBuf,
    patience: Duration,
}

impl Sources {
    fn of(settings: &Settings) -> Result<Self, Unavailable> {
        let url = |name| settings.text(name)?.map(|text| Url::parse(name, text)).transpose();
        let seconds = |name, usual| {
            let seconds = settings.number::<u32>(name)?.unwrap_or(usual);
            Ok::<_, Unavailable>(Duration::from_secs(seconds.into()))
        };
        let patience = bounded(settings, "OAUTH2_TIMEOUT", 5, MOST_PATIENCE)?;
        Ok(Sources {
            file: settings.text("OAUTH2_JWKS_FILE")?.map(PathBuf::from),
            keys: url("OAUTH2_JWKS_URL")?,
            introspection: url("OAUTH2_INTROSPECTION_URL")?,
            client: client(settings)?,
            limits: Limits {
                lifetime: seconds("OAUTH2_JWKS_LIFETIME", 3600)?,
                stale: seconds("OAUTH2_JWKS_STALE", 86_400)?,
                pause: seconds("OAUTH2_JWKS_PAUSE", 60)?,
            },
            authorities: settings.text("OAUTH2_TLS_CACERTFILE")?.unwrap_or(DEBIANS_AUTHORITIES).into(),
            patience: Duration::from_secs(patience.max(1).into()),
        })
    }

    fn judge(self, form: Form) -> Result<Judge, Unavailable> {
        let (authorities, patience, limits) = (self.authorities, self.patience, self.limits);
        let web =
            |url: &Url| Web::new(Some(authorities.as_path()).filter(|_: &&Path| url.is_https()), patience);
        match (self.file, self.keys, self.introspection) {
            (Some(path), None, None) => Ok(Judge::Signature { form, keys: KeySource::File(path) }),
            (None, Some(url), None) => {
                let web = web(&url)?;
                let fetch = move || {
                    let answer = web.get(&url)?;
                    KeySet::parse(answer.expose())
                        .map_err(|why| Unavailable::new(format!("OAUTH2_JWKS_URL {why}")))
                };
                Ok(Judge::Signature { form, keys: KeySource::Elsewhere(Cache::new(limits, fetch)) })
            }
            (None, None, Some(url)) => {
                let client = self.client.ok_or_else(|| Unavailable::new("OAUTH2_CLIENT_ID is not set"))?;
                Ok(Judge::Issuer(Introspection { web: web(&url)?, url, client }))
            }
            _ => Err(Unavailable::new(
                "one of OAUTH2_JWKS_FILE, OAUTH2_JWKS_URL and OAUTH2_INTROSPECTION_URL has to be set, and one alone",
            )),
        }
    }
}

fn client(settings: &Settings) -> Result<Option<Client>, Unavailable> {
    let given = settings.get("OAUTH2_CLIENT_SECRET").map(Secret::copy_of).map(ClientSecret::Given);
    let file = settings.text("OAUTH2_CLIENT_SECRET_FILE")?.map(|path| ClientSecret::File(path.into()));
    let Some(id) = settings.text("OAUTH2_CLIENT_ID")? else { return Ok(None) };
    match (given, file) {
        (Some(secret), None) | (None, Some(secret)) => Ok(Some(Client { id: id.to_owned(), secret })),
        _ => Err(Unavailable::new(
            "one of OAUTH2_CLIENT_SECRET and OAUTH2_CLIENT_SECRET_FILE has to be set, and one alone",
        )),
    }
}

fn form(settings: &Settings) -> Result<Form, Unavailable> {
    let algorithm = |name: &String| {
        let found = jwt::algorithm(name);
        found.ok_or_else(|| Unavailable::new("OAUTH2_ALGORITHMS names one that is unknown or not asymmetric"))
    };
    let algorithms =
        words(settings, "OAUTH2_ALGORITHMS")?.iter().map(algorithm).collect::<Result<Vec<_>, _>>()?;
    let types = words(settings, "OAUTH2_TYPE")?.iter().map(|kind| kind.to_ascii_lowercase()).collect();
    let every = || jwt::ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect();
    Ok(Form { algorithms: if algorithms.is_empty() { every() } else { algorithms }, types })
}

fn rules(settings: &Settings) -> Result<Rules, Unavailable> {
    let domain =
        settings.text("OAUTH2_DEFAULT_DOMAIN")?.map(|domain| format!("@{}", domain.trim_start_matches('@')));
    Ok(Rules {
        issuer: settings.text("OAUTH2_ISSUER")?.map(str::to_owned),
        audiences: words(settings, "OAUTH2_AUDIENCE")?,
        scopes: words(settings, "OAUTH2_SCOPE")?,
        expiry_required: true,
        leeway: bounded(settings, "OAUTH2_LEEWAY", 60, MOST_LEEWAY)?,
        max_age: settings.number("OAUTH2_MAX_AGE")?,
        claim: settings.text("OAUTH2_CLAIM")?.unwrap_or("email").to_owned(),
        domain: DefaultDomain::new(domain.as_deref().map(str::as_bytes), None),
    })
}

fn accounts(settings: &Settings) -> Result<Accounts, Unavailable> {
    let id = |name| settings.get(name).map(|value| account::id(name, value)).transpose();
    let (uid, gid) = (id("OAUTH2_UID")?, id("OAUTH2_GID")?);
    let home =
        settings.text("OAUTH2_HOME")?.map(|text| Pattern::absolute("OAUTH2_HOME", text)).transpose()?;
    let maildir =
        settings.text("OAUTH2_MAILDIR")?.map(|text| Pattern::parse("OAUTH2_MAILDIR", text)).transpose()?;
    match (settings.text("OAUTH2_ACCOUNTS")?, uid, gid, home, maildir) {
        (Some("authoauth2"), ..) => Err(Unavailable::new("OAUTH2_ACCOUNTS cannot be authoauth2 itself")),
        (Some(name), None, None, None, None) => {
            let module = modules::called(name).map_err(|missing| Unavailable::new(missing.to_string()))?;
            Ok(Accounts::Elsewhere(module))
        }
        (None, Some(uid), Some(gid), Some(home), maildir) => {
            Ok(Accounts::Made(Template { ids: Ids::numeric(uid, gid)?, home, maildir }))
        }
        _ => Err(Unavailable::new(
            "either OAUTH2_ACCOUNTS has to be set, or OAUTH2_UID, OAUTH2_GID and OAUTH2_HOME (and OAUTH2_MAILDIR)",
        )),
    }
}

/// The words of the value of `name`.
fn words(settings: &Settings, name: &str) -> Result<Vec<String>, Unavailable> {
    Ok(settings.text(name)?.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect())
}

/// The number `name`, at most `most`.
fn bounded(settings: &Settings, name: &str, usual: u32, most: u32) -> Result<u32, Unavailable> {
    match settings.number::<u32>(name)?.unwrap_or(usual) {
        number if number <= most => Ok(number),
        _ => Err(Unavailable::new(format!("{name} is more than {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::Setup;
    use authlib::rcfile::Settings;

    const WHO: &str = "OAUTH2_ISSUER https://id.example.com\nOAUTH2_AUDIENCE mail pop3\n";
    const KEYS: &str = "OAUTH2_JWKS_FILE /etc/courier/keys.json\n";
    const MADE: &str = "OAUTH2_UID 5000\nOAUTH2_GID 5000\nOAUTH2_HOME /srv/mail/$(local_part)\n";
    const ASKED: &str =
        "OAUTH2_INTROSPECTION_URL http://127.0.0.1/i\nOAUTH2_CLIENT_ID mail\nOAUTH2_CLIENT_SECRET hunter2\n";

    fn setup(text: &str) -> Result<Vec<String>, String> {
        let settings = Settings::parse(format!("{text}\n##NAME: MARKER:0\n").as_bytes()).unwrap();
        Setup::of(&settings).map(|_| settings.remarks()).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn what_is_needed_is_enough_and_all_of_it_is_known() {
        let every = "OAUTH2_JWKS_LIFETIME 60\nOAUTH2_JWKS_STALE 60\nOAUTH2_JWKS_PAUSE 1\nOAUTH2_TIMEOUT 5\n\
            OAUTH2_TLS_CACERTFILE /x\nOAUTH2_ALGORITHMS RS256 EdDSA\nOAUTH2_TYPE at+jwt\nOAUTH2_LEEWAY 5\n\
            OAUTH2_MAX_AGE 60\nOAUTH2_SCOPE pop\nOAUTH2_CLAIM sub\nOAUTH2_DEFAULT_DOMAIN example.com\n\
            OAUTH2_MAILDIR mail\nOAUTH2_CLIENT_SECRET_FILE /x\n";
        for text in [
            format!("{WHO}{KEYS}{MADE}"),
            format!("{WHO}{KEYS}{MADE}{every}"),
            format!("{WHO}OAUTH2_JWKS_URL http://127.0.0.1/k\nOAUTH2_ACCOUNTS authuserdb\n"),
            format!("{ASKED}{MADE}"),
        ] {
            assert_eq!(setup(&text), Ok(Vec::new()), "{text}");
        }
        let slip = format!("{WHO}{KEYS}{MADE}OAUTH2_ISSURE x\n");
        assert_eq!(setup(&slip), Ok(vec!["OAUTH2_ISSURE is not known, and not used".to_owned()]));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret_with_it() {
        for (text, said) in [
            (format!("{KEYS}{MADE}"), "OAUTH2_ISSUER and OAUTH2_AUDIENCE"),
            (format!("{WHO}{MADE}"), "one of OAUTH2_JWKS_FILE"),
            (format!("{WHO}{KEYS}{ASKED}{MADE}"), "one of OAUTH2_JWKS_FILE"),
            (format!("{WHO}{KEYS}"), "either OAUTH2_ACCOUNTS"),
            (format!("{WHO}{KEYS}{MADE}OAUTH2_ACCOUNTS authuserdb\n"), "either OAUTH2_ACCOUNTS"),
            (format!("{WHO}{KEYS}OAUTH2_ACCOUNTS authoauth2\n"), "cannot be authoauth2"),
            (format!("{WHO}{KEYS}OAUTH2_ACCOUNTS authnothing\n"), "there is no module"),
            (format!("{WHO}{KEYS}{}", MADE.replace("UID 5000", "UID 0")), "nobody's mail is read"),
            (format!("{WHO}{KEYS}{}", MADE.replace("GID 5000", "GID 0")), "nobody's mail is read"),
            (format!("{WHO}{KEYS}{}", MADE.replace("UID 5000", "UID mail")), "OAUTH2_UID is not a number"),
            (format!("{WHO}{KEYS}{}", MADE.replace("/srv", "srv")), "does not begin with /"),
            (format!("{WHO}{KEYS}{MADE}OAUTH2_ALGORITHMS RS256 HS256\n"), "OAUTH2_ALGORITHMS"),
            (format!("{WHO}{KEYS}{MADE}OAUTH2_ALGORITHMS none\n"), "OAUTH2_ALGORITHMS"),
            (format!("{WHO}{KEYS}{MADE}OAUTH2_LEEWAY 601\n"), "OAUTH2_LEEWAY is more than 600"),
            (format!("{WHO}{KEYS}{MADE}OAUTH2_TIMEOUT 16\n"), "OAUTH2_TIMEOUT is more than 15"),
            (format!("{WHO}OAUTH2_JWKS_URL http://id.example.com/\n{MADE}"), "OAUTH2_JWKS_URL is not https"),
            (
                format!(
                    "{WHO}OAUTH2_JWKS_URL https://id.example.com/\nOAUTH2_TLS_CACERTFILE /absent\n{MADE}"
                ),
                "/absent: No such file",
            ),
            (format!("{MADE}{}", ASKED.replace("OAUTH2_CLIENT_ID", "#")), "OAUTH2_CLIENT_ID is not set"),
            (format!("{MADE}{ASKED}OAUTH2_CLIENT_SECRET_FILE /x\n"), "one of OAUTH2_CLIENT_SECRET"),
        ] {
            let wrong = setup(&text).unwrap_err();
            assert!(wrong.contains(said) && !wrong.contains("hunter2"), "{wrong}\n{text}");
        }
    }
}
