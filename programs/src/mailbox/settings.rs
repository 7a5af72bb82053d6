//! What the environment and the arguments say (reference config.md 5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use authlib::Options;

use super::AUTOLOGOUT;
use crate::environment;
use crate::log::{self, Peer};
use crate::service::Guest;

/// The settings of one run of courierpop3d.
pub(crate) struct Settings {
    /// The home directory.
    pub home: PathBuf,
    /// Path of the Maildir, relative to the working directory or absolute.
    pub maildir: PathBuf,
    /// Account options.
    pub options: Options,
    /// Whether the client speaks TLS.
    pub tls: bool,
    /// Whether the client has said UTF8. Started without a login program it
    /// counts as said.
    pub utf8: bool,
    /// Content-Type of a message inside the wrapper.
    pub unicode_message_type: String,
    /// Whether DELETED lines are logged.
    pub log_deletions: bool,
    /// The autologout timer: how long the client may be silent, or take nothing.
    pub autologout: Duration,
    /// Address of the account, for lines that name it.
    pub address: Vec<u8>,
    /// Who and from where, for the log.
    pub session: log::Session,
}

impl Settings {
    pub(super) fn from_environment() -> Self {
        let tls = environment::number("POP3_TLS") != 0;
        let authenticated = environment::non_empty("AUTHENTICATED");
        let address = environment::non_empty("AUTHADDR")
            .or(authenticated)
            .map_or_else(|| b"nobody".to_vec(), OsStringExt::into_vec);
        Settings {
            home: PathBuf::from("."),
            maildir: maildir(),
            options: Options::parse(&environment::octets("OPTIONS")),
            tls,
            utf8: std::env::var_os("UTF8").is_none() || environment::number("UTF8") != 0,
            unicode_message_type: unicode_message_type(),
            log_deletions: log_deletions(),
            autologout: autologout(),
            session: log::Session::new(&address, Peer::from_environment("0"), tls),
            address,
        }
    }

    /// For a session of the service; what is the same for all is in the
    /// environment.
    pub(crate) fn of(guest: Guest) -> Self {
        let Guest { address, home, maildir, options, origin, utf8, .. } = guest;
        Settings {
            maildir: home.join(maildir),
            home,
            options: Options::parse(&options),
            tls: origin.tls,
            utf8,
            unicode_message_type: unicode_message_type(),
            log_deletions: log_deletions(),
            autologout: autologout(),
            session: log::Session::new(&address, Peer::at(&origin.ip, &origin.port), origin.tls),
            address,
        }
    }

    /// Logs what the Maildir has to say.
    pub(super) fn notice(&self, notice: &maildir::Notice) {
        let text = format_args!("{notice}, user={}", log::Harmless(&self.address)).to_string();
        if notice.is_warning() { log::warning(&text) } else { log::error(&text) }
    }
}

/// POSTRIDER_AUTOLOGOUT, at most a day.
fn autologout() -> Duration {
    environment::seconds("POSTRIDER_AUTOLOGOUT", AUTOLOGOUT).min(Duration::from_secs(86_400))
}

/// POP3_LOG_DELETIONS.
fn log_deletions() -> bool {
    environment::non_empty("POP3_LOG_DELETIONS")
        .is_some_and(|value| !value.as_encoded_bytes().starts_with(b"0"))
}

/// MAILDIR if a module has set it, else the argument, else `./Maildir`
/// (ledger 214).
fn maildir() -> PathBuf {
    environment::non_empty("MAILDIR")
        .or_else(|| std::env::args_os().nth(1).filter(|argument| !argument.is_empty()))
        .unwrap_or_else(|| OsString::from("./Maildir"))
        .into()
}

/// MIME_UNICODE_MESSAGE_TYPE, if it is of the form `type/subtype`.
fn unicode_message_type() -> String {
    const DEFAULT: &str = "message/global";
    let is_token = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&octet))
    };
    match environment::non_empty("MIME_UNICODE_MESSAGE_TYPE").and_then(|value| value.into_string().ok()) {
        Some(value) if value.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub)) => {
            value
        }
        _ => DEFAULT.to_owned(),
    }
}
