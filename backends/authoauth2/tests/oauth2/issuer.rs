//! An issuer with a key, and settings that believe it.

use std::time::{SystemTime, UNIX_EPOCH};

use testbed::Outcome;
use testbed::oauth::{Answer, Key, Kind, Server, key_set};

/// Who the tokens are from, and for whom.
pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "mail";

/// Where the keys are.
pub(crate) const KEYS: &str = "/keys";

/// A server with the keys of one key, and the key.
pub(crate) struct Issuer {
    pub(crate) server: Server,
    pub(crate) key: Key,
    _directory: tempfile::TempDir,
}

impl Issuer {
    pub(crate) fn new(kind: Kind) -> Outcome<Issuer> {
        let directory = tempfile::tempdir()?;
        let key = Key::make(directory.path(), "one", kind)?;
        let server = Server::start()?;
        server.answer(KEYS, Answer::Json(key_set(&[&key])?));
        Ok(Issuer { server, key, _directory: directory })
    }

    /// A good token about `name`.
    pub(crate) fn token(&self, name: &str) -> Outcome<String> {
        self.key.token(&claims(&format!(r#""email":"{name}""#)))
    }

    /// Settings with the keys of the server, and `more`.
    pub(crate) fn settings(&self, more: &str) -> String {
        settings(&format!("OAUTH2_JWKS_URL {}\n{more}", self.server.url(KEYS)))
    }
}

/// Settings that say who may make tokens, and `more`, which is first; servers
/// that are to answer have time.
pub(crate) fn settings(more: &str) -> String {
    format!(
        "{more}\nOAUTH2_ISSUER {ISSUER}\nOAUTH2_AUDIENCE {AUDIENCE}\nOAUTH2_TIMEOUT 15\n##NAME: MARKER:0\n"
    )
}

/// What a token says that is good for an hour, and `more`.
pub(crate) fn claims(more: &str) -> String {
    let now = now();
    format!(r#"{{"iss":"{ISSUER}","aud":["other","{AUDIENCE}"],"iat":{now},"exp":{},{more}}}"#, now + 3600)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
