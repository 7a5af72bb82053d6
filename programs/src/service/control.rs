//! `postrider reload`, `upgrade`, `stop` and `status`: a word to a service that runs, over
//! the control socket in its directory.
//!
//! ```text
//!   status\n  ──>
//!             <──  +OK\n text, and the end
//!   reload\n  ──>
//!             <──  -ERR\n why the settings stay as they were, and the end
//! ```
//!
//! The end comes when what was asked for is done, or cannot be. The monitor's
//! side is `monitor/office.rs`.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use authlib::printable::reason;

use super::options::{self, Options};
use super::settings::{self, Settings};
use super::{command, serve};
use crate::log;

/// The socket's name in the directory of the service.
const NAME: &str = "postrider.control";
/// Most octets of an answer that are looked at.
const MOST: u64 = 64 * 1024;
/// How long the service may take beyond what the settings give it.
const GRACE: Duration = Duration::from_secs(60);

/// Where a service whose directory is `directory` is spoken to.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// What the service can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// To read its settings again; the answer is how that went.
    Reload,
    /// To end as by SIGTERM; the answer ends when it has.
    Stop,
    /// To go on in a process of the program that is there now; the answer is
    /// whether that one serves.
    Upgrade,
    /// How it is.
    Status,
}

const WORDS: [(&str, Request); 4] = [
    ("reload", Request::Reload),
    ("stop", Request::Stop),
    ("upgrade", Request::Upgrade),
    ("status", Request::Status),
];

impl Request {
    /// The one that `word` asks for.
    pub(super) fn of(word: &str) -> Option<Request> {
        WORDS.iter().find(|(name, _)| *name == word).map(|(_, request)| *request)
    }

    /// Its word.
    pub(super) fn word(self) -> &'static str {
        WORDS.iter().find(|(_, request)| *request == self).map_or("", |(name, _)| name)
    }

    /// How long a service with these `settings` may take for it.
    fn patience(self, settings: &Settings) -> Result<Duration, String> {
        let own = match self {
            Request::Reload => serve::seconds(settings, "POSTRIDER_READY_WITHIN")?,
            Request::Stop => serve::seconds(settings, "POSTRIDER_FAREWELL")?,
            Request::Upgrade => serve::seconds(settings, "POSTRIDER_READY_WITHIN")?.saturating_mul(2),
            Request::Status => Duration::ZERO,
        };
        Ok(own.saturating_add(GRACE))
    }
}

/// What comes of a request: what to tell who has asked, or why nothing came of
/// it.
pub(super) type Answer = Result<String, String>;

const GOOD: &str = "+OK\n";
const BAD: &str = "-ERR\n";

/// An answer as it goes over the socket.
pub(super) fn encode(answer: &Answer) -> String {
    match answer {
        Ok(text) => format!("{GOOD}{text}"),
        Err(text) => format!("{BAD}{text}"),
    }
}

/// The answer that was heard; `None` if it is none.
fn decode(heard: &str) -> Option<Answer> {
    let good = heard.strip_prefix(GOOD).map(|text| Ok(text.to_owned()));
    good.or_else(|| heard.strip_prefix(BAD).map(|text| Err(text.to_owned())))
}

/// How they are called.
pub(super) fn usage() -> String {
    format!(
        "Usage: postrider reload [OPTION]…       has the service read its settings again
       postrider upgrade [OPTION]…      has the program that is there now go on with it
       postrider stop [OPTION]…         has it end, and waits until it has
       postrider status [OPTION]…       how it is

{}
They take the options of postrider serve, to find the directory of the service;
--directory alone is enough. reload waits until the new settings are in force, or
says why they are not; upgrade waits until the new program serves, or says why the
old one goes on. The exit status is 1 if nothing came of it.
",
        options::USAGE
    )
}

/// Asks for `request`, with the words behind it.
pub(super) fn run(request: Request, words: &[OsString]) -> ExitCode {
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(wrong) => return command::wrong(&wrong, &usage()),
    };
    match settings::read(&options).and_then(|settings| ask(request, &settings)) {
        Ok(text) => command::say(&text),
        Err(wrong) => {
            log::error(&format_args!("postrider {}: {wrong}", request.word()));
            ExitCode::FAILURE
        }
    }
}

fn ask(request: Request, settings: &Settings) -> Answer {
    let path = path(settings.directory());
    let patience = request.patience(settings)?;
    let heard = hear(&path, request, patience).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            format!("no service runs in {}", settings.directory().display())
        }
        ErrorKind::WouldBlock => format!("{}: no answer after {} s", path.display(), patience.as_secs()),
        _ => format!("{}: {}", path.display(), reason(&error)),
    })?;
    decode(&heard).unwrap_or_else(|| Err("the service has ended without an answer".to_owned()))
}

fn hear(path: &Path, request: Request, patience: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    // Who is sent away has his answer before he has asked.
    let _it_may_be_known_already = stream.write_all(format!("{}\n", request.word()).as_bytes());
    let mut heard = Vec::new();
    match stream.take(MOST).read_to_end(&mut heard) {
        Err(error) if heard.is_empty() || error.kind() == ErrorKind::WouldBlock => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Request, WORDS, decode, encode};

    #[test]
    fn each_request_has_its_word() {
        for (word, request) in WORDS {
            assert_eq!((Request::of(word), request.word()), (Some(request), word));
        }
        assert_eq!(Request::of("reboot"), None);
    }

    #[test]
    fn answers_are_heard_as_they_were_given_and_others_are_none() {
        for answer in [Ok("pid: 1\n".to_owned()), Err("there is no TLS\n".to_owned())] {
            assert_eq!(decode(&encode(&answer)), Some(answer));
        }
        assert_eq!(decode(""), None);
        assert_eq!(decode("+OK"), None);
    }
}
