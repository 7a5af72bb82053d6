//! Several modules, asked in their order (reference: authlib 5), and their
//! answers in the language of [`protocol`](crate::protocol).
//!
//! AUTH and PRE: the first that accepts is right; one that rejects lets the
//! next be asked; one that cannot tell ends the search, for the next might
//! reject whom this one would accept. PASSWD: the first that succeeds.

use std::time::Instant;

use zeroize::Zeroizing;

use crate::account::{Account, Unavailable, Verdict};
use crate::module::{Changed, Client, Module, PasswordChange};
use crate::options::Options;
use crate::protocol::answer;
use crate::protocol::request::{Question, Request};
use crate::record::Record;
use crate::renewal::{Renewals, Renewed};
use crate::scram::decoys::Decoys;
use crate::scram::{self, Salt, Wanted};
use crate::trace::Trace;

/// The modules that are asked.
pub struct Modules {
    list: Vec<Box<dyn Module>>,
    defaults: Options,
    headings: bool,
    trace: Trace,
    decoys: Option<Decoys>,
    renewals: Option<Renewals>,
}

/// What is said to one question.
#[derive(Debug)]
pub struct Answer {
    /// What is to be sent, behind what was written already. Nothing: the
    /// connection is closed without a word (or ends within a list).
    pub octets: Option<Zeroizing<Vec<u8>>>,
    /// What an administrator should know.
    pub trouble: Option<Unavailable>,
}

impl Modules {
    /// Those of `list`, with DEFAULTOPTIONS behind each account's own options.
    #[must_use]
    pub fn new(list: Vec<Box<dyn Module>>, defaults: Options) -> Self {
        Modules { list, defaults, headings: true, trace: Trace::default(), decoys: None, renewals: None }
    }

    /// One alone, for a program that is this module: its lists have no
    /// headings.
    #[must_use]
    pub fn one(module: Box<dyn Module>) -> Self {
        let defaults = Options::default();
        Modules {
            list: vec![module],
            defaults,
            headings: false,
            trace: Trace::default(),
            decoys: None,
            renewals: None,
        }
    }

    /// The same with salts for whom nobody has one. Without them SCRAM is
    /// served only for an asker who brings salts along.
    #[must_use]
    pub fn with_decoys(self, decoys: Decoys) -> Self {
        Modules { decoys: Some(decoys), ..self }
    }

    /// The same, telling `write` step by step who is asked and what is said
    /// (DEBUG_LOGIN).
    #[must_use]
    pub fn traced(self, write: fn(&str)) -> Self {
        Modules { trace: Trace::to(write), ..self }
    }

    /// The same, storing passwords anew that are stored in an old kind
    /// ([`catch_up`](Modules::catch_up)).
    #[must_use]
    pub fn renewing(self) -> Self {
        Modules { renewals: Some(Renewals::default()), ..self }
    }

    /// Lets each get ready; gives what an administrator should hear.
    pub fn prepare(&mut self) -> Vec<Unavailable> {
        let prepare =
            |module: &mut Box<dyn Module>| module.prepare().err().map(|reason| named(module.name(), &reason));
        self.list.iter_mut().filter_map(prepare).collect()
    }

    /// The answer to `question`. A list is too long to be held; its pieces go
    /// to `write`, which says no when nobody listens any more.
    pub fn answer(&mut self, question: &Question, write: &mut dyn FnMut(&[u8]) -> bool) -> Answer {
        let client = &question.client;
        match &question.request {
            Request::Auth(record) if record.has_control() => word(answer::FAIL),
            Request::Auth(record) => {
                self.trace.auth(record);
                match record.wanted_salt() {
                    Some(wanted) => self.name_salt(record.service(), wanted, client),
                    None => {
                        let verdict = self.ask(record, client);
                        self.say(&verdict)
                    }
                }
            }
            Request::Pre { module, service, user } => {
                let verdict = self.look_up(module.as_deref(), service, user, client);
                self.say(&verdict)
            }
            Request::Passwd(change) => match self.change_password(change) {
                Changed::Done => word(answer::OK),
                Changed::Reject => word(answer::FAIL),
                // FAIL is what Courier's says also where it cannot tell.
                Changed::Unavailable(reason) => Answer { trouble: Some(reason), ..word(answer::FAIL) },
            },
            Request::Hopeless => word(answer::FAIL),
            Request::Enumerate => match self.enumerate(write) {
                Ok(()) => word(answer::END),
                Err(reason) => Answer { octets: None, trouble: Some(reason) },
            },
        }
    }

    /// Whether these credentials are good.
    pub fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict {
        self.trace.auth(record);
        self.ask(record, client)
    }

    fn ask(&mut self, record: &Record, client: &Client) -> Verdict {
        let mut asked = None;
        let all = self.list.iter_mut().enumerate().map(|(place, module)| {
            asked = Some((place, module.renews()));
            module
        });
        let verdict = first(all, self.trace, |module| module.authenticate(record, client));
        if let (Verdict::Accept(account), Some((place, true))) = (&verdict, asked)
            && let Some(renewals) = &mut self.renewals
        {
            renewals.accepted(place, record, client, account, Instant::now());
        }
        match verdict {
            // Who asks has not heard a password, and need not (ledger 427).
            Verdict::Accept(account) if scram::hash_of(record.authtype()).is_some() => {
                Verdict::Accept(Account { stored_password: None, clear_password: None, ..account })
            }
            verdict => verdict,
        }
    }

    /// Does what was left to do behind the last answer, once that is given.
    pub fn catch_up(&mut self) -> Option<Renewed> {
        let renewals = self.renewals.as_mut()?;
        let due = renewals.take()?;
        let module = self.list.get_mut(due.module)?;
        let start = Instant::now();
        let changed = module.change_password(&due.change);
        renewals.rest(&changed, start, Instant::now());
        let outcome = match changed {
            Changed::Done => match due.change.login().map(|login| module.authenticate(&login, &due.client)) {
                Ok(Verdict::Reject) => Err(renewals.give_up()),
                _ => Ok(()),
            },
            Changed::Unavailable(reason) => Err(reason),
            // It was changed meanwhile, or nothing is ever changed there.
            Changed::Reject => return None,
        };
        Some(Renewed { module: module.name().to_owned(), user: due.change.user().to_vec(), outcome })
    }

    /// With which salt somebody may show to know a password. Who asks without
    /// a salt for passwords in clear is never told that there is none, else it
    /// would be seen who has an account (ledger 428); and all modules are asked
    /// in any case, else it would be felt.
    ///
    /// # Errors
    /// If it cannot be told.
    pub fn salt(
        &mut self,
        service: &[u8],
        wanted: Wanted,
        client: &Client,
    ) -> Result<Option<Salt>, Unavailable> {
        let decoy = match (&wanted.for_clear, &mut self.decoys) {
            (Some(_), _) => None,
            (None, Some(decoys)) => Some(decoys.salt(wanted.hash, &wanted.user)?),
            (None, None) => return Ok(None),
        };
        let wanted = Wanted { for_clear: wanted.for_clear.or_else(|| decoy.clone()), ..wanted };
        let mut found = None;
        for module in &mut self.list {
            self.trace.trying(module.name());
            let salt = module.salt(service, &wanted, client).map_err(|reason| named(module.name(), &reason));
            found = if found.is_some() { found } else { salt? };
        }
        Ok(found.or(decoy))
    }

    /// Whose account `user` is; only `module` is asked if one is named.
    pub fn look_up(&mut self, only: Option<&[u8]>, service: &[u8], user: &[u8], client: &Client) -> Verdict {
        let asked =
            self.list.iter_mut().filter(|module| only.is_none_or(|only| only == module.name().as_bytes()));
        self.trace.pre(user);
        first(asked, self.trace, |module| module.look_up(service, user, client))
    }

    /// Changes a password where the old one is right.
    pub fn change_password(&mut self, change: &PasswordChange) -> Changed {
        for module in &mut self.list {
            match module.change_password(change) {
                Changed::Reject => {}
                Changed::Unavailable(reason) => return named(module.name(), &reason).into(),
                Changed::Done => return Changed::Done,
            }
        }
        Changed::Reject
    }

    /// Lets go of what is not needed while nobody asks.
    pub fn idle(&mut self) {
        self.list.iter_mut().for_each(|module| module.idle());
    }

    /// Writes the accounts of all modules.
    fn enumerate(&mut self, write: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Unavailable> {
        for module in &mut self.list {
            let mut listens = !self.headings || write(&answer::heading(module.name()));
            // A record that would break its line is left out: the others are
            // better than none.
            let mut each = |entry: &_| {
                listens = listens && answer::entry(entry).is_none_or(|line| write(&line));
                listens
            };
            let listed = module.enumerate(&mut each);
            listed.map_err(|reason| named(module.name(), &reason))?;
            if !listens {
                return Err(Unavailable::new("nobody reads the list to its end"));
            }
        }
        Ok(())
    }

    fn name_salt(&mut self, service: &[u8], wanted: Wanted, client: &Client) -> Answer {
        match self.salt(service, wanted, client) {
            Ok(Some(salt)) => Answer { octets: Some(answer::with_salt(&salt)), trouble: None },
            Ok(None) => word(answer::FAIL),
            Err(reason) => Answer { octets: None, trouble: Some(reason) },
        }
    }

    fn say(&self, verdict: &Verdict) -> Answer {
        let said = match verdict {
            Verdict::Accept(account) => answer::account(account, &self.defaults),
            Verdict::Reject => return word(answer::FAIL),
            Verdict::Unavailable(reason) => Err(reason.clone()),
        };
        match said {
            Ok(octets) => Answer { octets: Some(octets), trouble: None },
            Err(reason) => Answer { octets: None, trouble: Some(reason) },
        }
    }
}

/// The first verdict that is no rejection.
fn first<'a>(
    modules: impl Iterator<Item = &'a mut Box<dyn Module>>,
    trace: Trace,
    ask: impl Fn(&mut dyn Module) -> Verdict,
) -> Verdict {
    for module in modules {
        trace.trying(module.name());
        let verdict = ask(module.as_mut());
        trace.verdict(module.name(), &verdict);
        match verdict {
            Verdict::Reject => {}
            Verdict::Unavailable(reason) => return named(module.name(), &reason).into(),
            accepted @ Verdict::Accept(_) => return accepted,
        }
    }
    trace.all_rejected();
    Verdict::Reject
}

fn named(module: &str, reason: &Unavailable) -> Unavailable {
    Unavailable::new(format!("{module}: {reason}"))
}

fn word(octets: &[u8]) -> Answer {
    Answer { octets: Some(Zeroizing::new(octets.to_vec())), trouble: None }
}

#[cfg(test)]
mod tests;
