//! What DEBUG_LOGIN shows: who is asked, and what is said, in the words of
//! Courier's authdaemond. Passwords are never shown, whatever the level
//! (ledger 440).

use std::fmt::Display;

use crate::account::{Account, Verdict};
use crate::printable::printable;
use crate::record::Record;

/// Where the trace goes; nowhere unless it is asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trace(Option<fn(&str)>);

impl Trace {
    /// To `write`, a line at a time.
    pub(crate) fn to(write: fn(&str)) -> Self {
        Trace(Some(write))
    }

    /// Somebody wants to log in.
    pub(crate) fn auth(self, record: &Record) {
        let (service, authtype) = (record.service(), record.authtype());
        self.say(|| {
            let (service, authtype) = (printable(service), printable(authtype));
            format!("DEBUG: received auth request, service={service}, authtype={authtype}")
        });
    }

    /// Somebody wants to know about `user`.
    pub(crate) fn pre(self, user: &[u8]) {
        self.say(|| format!("DEBUG: received userid lookup request: {}", printable(user)));
    }

    /// `module` is asked.
    pub(crate) fn trying(self, module: &str) {
        self.say(|| format!("DEBUG: {module}: trying this module"));
    }

    /// `module` has answered.
    pub(crate) fn verdict(self, module: &str, verdict: &Verdict) {
        self.say(|| match verdict {
            Verdict::Accept(account) => format!("Authenticated: {}", described(account)),
            Verdict::Reject => format!("DEBUG: {module}: REJECT - try next module"),
            Verdict::Unavailable(_) => format!("DEBUG: {module}: TEMPFAIL - no more modules will be tried"),
        });
    }

    /// Nobody has accepted.
    pub(crate) fn all_rejected(self) {
        self.say(|| "DEBUG: FAIL, all modules rejected".to_owned());
    }

    fn say(self, line: impl FnOnce() -> String) {
        if let Some(write) = self.0 {
            write(&line());
        }
    }
}

fn described(account: &Account) -> String {
    let Account { address, ids, home, maildir, quota, full_name, options, .. } = account;
    let by_name = ids.user().is_some();
    format!(
        "sysusername={}, sysuserid={}, sysgroupid={}, homedir={}, address={}, fullname={}, maildir={}, \
         quota={}, options={}",
        or_null(ids.user()),
        or_null((!by_name).then_some(ids.uid())),
        ids.gid(),
        printable(home.as_os_str().as_encoded_bytes()),
        printable(address),
        or_null(full_name.as_deref().map(printable)),
        or_null(maildir.as_ref().map(|maildir| printable(maildir.as_os_str().as_encoded_bytes()))),
        or_null(quota.as_deref().map(printable)),
        or_null(Some(printable(options.as_bytes())).filter(|options| !options.is_empty())),
    )
}

fn or_null(value: Option<impl Display>) -> String {
    value.map_or_else(|| "<null>".to_owned(), |value| value.to_string())
}
