//! Where the keys come from, and how long they are believed.
//!
//! ```text
//! fetched ──lifetime──> asked for again ──no answer──> still believed, for `stale` ──> unavailable
//!    └ a token names a key that is not there: asked for again, but not before `pause` has gone by
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use authlib::account::Unavailable;
use authlib::printable::{printable, reason};

use crate::No;
use crate::claims::Claims;
use crate::jwt::Unverified;
use crate::key_set::{Key, KeySet};

/// Most octets of a file of keys.
const LIMIT: u64 = 256 * 1024;

/// What a token's signer is said to be unknown with.
const UNKNOWN: &str = "it is signed with a key that is not known";

/// Where the keys are.
pub(crate) enum KeySource {
    /// In a file, which is read at each question.
    File(PathBuf),
    /// Elsewhere.
    Elsewhere(Cache),
}

impl KeySource {
    /// What is said in `token`, if one of the keys has signed it.
    pub(crate) fn claims(&mut self, token: &Unverified<'_>, now: Instant) -> Result<Claims, No> {
        match self {
            KeySource::File(path) => {
                let keys = read(path)?;
                let key = keys.find(token.key_name(), token.algorithm()).ok_or(UNKNOWN)?;
                Ok(token.claims(key)?)
            }
            KeySource::Elsewhere(cache) => Ok(token.claims(cache.find(token, now)?.ok_or(UNKNOWN)?)?),
        }
    }

    /// What an administrator should hear before the first login. Nobody
    /// else's server is asked for it.
    pub(crate) fn prepare(&self) -> Result<(), Unavailable> {
        match self {
            KeySource::File(path) => read(path).map(|_| ()),
            KeySource::Elsewhere(_) => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<KeySet, Unavailable> {
    let shown = printable(path.as_os_str().as_encoded_bytes());
    let failed = |error: std::io::Error| Unavailable::new(format!("{shown}: {}", reason(&error)));
    // Not to wait for who may write into a pipe.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Unavailable::new(format!("{shown} is no file")));
    }
    let mut octets = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut octets)).map_err(failed)?;
    KeySet::parse(&octets).map_err(|why| Unavailable::new(format!("{shown} {why}")))
}

/// For how long keys are believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So long without asking.
    pub(crate) lifetime: Duration,
    /// So much longer if nobody answers.
    pub(crate) stale: Duration,
    /// Between one time of asking and the next, while there are keys.
    pub(crate) pause: Duration,
}

/// Keys that are fetched when they are needed.
pub(crate) struct Cache {
    fetch: Fetch,
    limits: Limits,
    held: Option<(KeySet, Instant)>,
    asked: Option<Instant>,
    trouble: Option<Unavailable>,
}

type Fetch = Box<dyn FnMut() -> Result<KeySet, Unavailable> + Send>;

impl Cache {
    /// Keys that `fetch` brings.
    pub(crate) fn new(
        limits: Limits,
        fetch: impl FnMut() -> Result<KeySet, Unavailable> + Send + 'static,
    ) -> Self {
        Cache { fetch: Box::new(fetch), limits, held: None, asked: None, trouble: None }
    }

    /// The key that `token` names; `None` if the issuer has no such key.
    ///
    /// # Errors
    /// Nobody can be asked, and what is known says nothing of that key, or is
    /// too old.
    fn find(&mut self, token: &Unverified<'_>, now: Instant) -> Result<Option<&Key>, Unavailable> {
        if !self.is_younger(self.limits.lifetime, now) && self.may_ask(now) {
            self.ask(now);
        }
        if !self.is_known(token) && self.may_ask(now) {
            self.ask(now);
        }
        let is_usable = self.is_usable(now);
        let keys = self.held.as_ref().filter(|_| is_usable).map(|(keys, _)| keys);
        match (keys.and_then(|keys| keys.find(token.key_name(), token.algorithm())), &self.trouble) {
            (Some(key), _) => Ok(Some(key)),
            (None, Some(trouble)) => Err(trouble.clone()),
            (None, None) => Ok(None),
        }
    }

    fn is_known(&self, token: &Unverified<'_>) -> bool {
        let key = |(keys, _): &(KeySet, _)| keys.find(token.key_name(), token.algorithm()).is_some();
        self.held.as_ref().is_some_and(key)
    }

    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|(_, fetched)| now.duration_since(*fetched) < age)
    }

    fn is_usable(&self, now: Instant) -> bool {
        self.is_younger(self.limits.lifetime.saturating_add(self.limits.stale), now)
    }

    /// Whether the issuer may be asked: with something to go on, not too often.
    fn may_ask(&self, now: Instant) -> bool {
        match self.asked {
            Some(asked) if self.is_usable(now) => now.duration_since(asked) >= self.limits.pause,
            Some(asked) => asked != now,
            None => true,
        }
    }

    fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
        match (self.fetch)() {
            Ok(keys) => {
                self.held = Some((keys, now));
                self.trouble = None;
            }
            Err(reason) => self.trouble = Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Limits};
    use crate::jwt::Form;
    use crate::key_set::KeySet;
    use authlib::Unavailable;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::Algorithm;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    /// A key server.
    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        /// The names of its keys, while it answers.
        names: Option<Vec<&'static str>>,
        /// How often it was asked.
        asked: usize,
    }

    impl Server {
        fn has(&self, names: Option<&[&'static str]>) {
            self.0.lock().unwrap().names = names.map(<[_]>::to_vec);
        }

        fn asked(&self) -> usize {
            self.0.lock().unwrap().asked
        }

        fn answer(&self) -> Result<KeySet, Unavailable> {
            let mut state = self.0.lock().unwrap();
            state.asked += 1;
            let names = state.names.clone().ok_or_else(|| Unavailable::new("down"))?;
            let key = |name| {
                format!(
                    r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{name}"}}"#
                )
            };
            let keys: Vec<String> = names.iter().map(key).collect();
            KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).map_err(Unavailable::new)
        }
    }

    /// A cache of the keys of `server`, and what it says of a key at a second.
    struct Table {
        server: Server,
        cache: Cache,
        start: Instant,
    }

    impl Table {
        fn new(names: Option<&[&'static str]>) -> Table {
            let server = Server::default();
            server.has(names);
            let limits = Limits { lifetime: 100 * SECOND, stale: 1000 * SECOND, pause: 10 * SECOND };
            let asked = server.clone();
            Table { server, cache: Cache::new(limits, move || asked.answer()), start: Instant::now() }
        }

        fn has(&mut self, name: &str, second: u32) -> Result<bool, String> {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{name}"}}"#));
            let token = format!("{header}.e30.AA");
            let form = Form { algorithms: vec![Algorithm::EdDSA], types: Vec::new() };
            let token = form.take_apart(token.as_bytes()).unwrap();
            let found = self.cache.find(&token, self.start + second * SECOND);
            found.map(|key| key.is_some()).map_err(|reason| reason.to_string())
        }
    }

    #[test]
    fn keys_are_fetched_once_in_their_lifetime() {
        let mut table = Table::new(Some(&["a"]));
        for second in [0, 1, 99] {
            assert_eq!(table.has("a", second), Ok(true));
            assert_eq!(table.server.asked(), 1);
        }
        assert_eq!((table.has("a", 100), table.server.asked()), (Ok(true), 2));
    }

    #[test]
    fn an_unknown_key_is_asked_for_but_not_too_often() {
        let mut table = Table::new(Some(&["a"]));
        assert_eq!((table.has("b", 0), table.server.asked()), (Ok(false), 1));
        table.server.has(Some(&["a", "b"]));
        assert_eq!((table.has("b", 9), table.server.asked()), (Ok(false), 1));
        assert_eq!((table.has("b", 10), table.server.asked()), (Ok(true), 2));
        for second in 11..20 {
            assert_eq!((table.has("c", second), table.server.asked()), (Ok(false), 2));
        }
        assert_eq!((table.has("c", 20), table.server.asked()), (Ok(false), 3));
    }

    #[test]
    fn a_key_that_is_withdrawn_is_not_believed_any_more() {
        let mut table = Table::new(Some(&["a"]));
        assert_eq!(table.has("a", 0), Ok(true));
        table.server.has(Some(&["b"]));
        assert_eq!((table.has("a", 99), table.has("a", 100)), (Ok(true), Ok(false)));
    }

    #[test]
    fn without_an_answer_old_keys_are_believed_for_a_while() {
        let mut table = Table::new(Some(&["a"]));
        assert_eq!(table.has("a", 0), Ok(true));
        table.server.has(None);
        for second in 100..110 {
            assert_eq!((table.has("a", second), table.server.asked()), (Ok(true), 2));
        }
        assert_eq!((table.has("a", 1099), table.server.asked()), (Ok(true), 3));
        assert_eq!(table.has("a", 1100), Err("down".to_owned()));
        table.server.has(Some(&["a"]));
        assert_eq!(table.has("a", 1101), Ok(true));
    }

    #[test]
    fn an_unknown_key_is_no_wrong_one_while_nobody_answers() {
        let mut table = Table::new(Some(&["a"]));
        assert_eq!(table.has("a", 0), Ok(true));
        table.server.has(None);
        assert_eq!(table.has("b", 5), Ok(false));
        assert_eq!(table.has("b", 10), Err("down".to_owned()));
        assert_eq!(table.has("b", 11), Err("down".to_owned()));
        assert_eq!((table.has("a", 11), table.server.asked()), (Ok(true), 2));
    }

    #[test]
    fn without_any_keys_each_question_asks() {
        let mut table = Table::new(None);
        assert_eq!((table.has("a", 0), table.server.asked()), (Err("down".to_owned()), 1));
        assert_eq!((table.has("a", 1), table.server.asked()), (Err("down".to_owned()), 2));
        table.server.has(Some(&["a"]));
        assert_eq!((table.has("a", 2), table.server.asked()), (Ok(true), 3));
    }
}
