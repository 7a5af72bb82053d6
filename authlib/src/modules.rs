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
mod tests {
    use super::Modules;
    use crate::account::{Account, Ids, Unavailable, Verdict};
    use crate::module::{Changed, Client, Entry, Module, PasswordChange};
    use crate::protocol::request::Reader;
    use crate::renewal::Renewed;
    use crate::scram::{Salt, Wanted};
    use crate::{Options, Record, Secret};
    use std::path::PathBuf;

    /// A module that says the same to everybody.
    struct Always(&'static str, fn() -> Verdict);

    fn accept() -> Verdict {
        Verdict::Accept(Account::new(b"alice".to_vec(), Ids::numeric(1, 2).unwrap(), "/h".into()))
    }

    fn cannot() -> Verdict {
        Unavailable::new("no").into()
    }

    fn reject() -> Verdict {
        Verdict::Reject
    }

    impl Module for Always {
        fn name(&self) -> &str {
            self.0
        }

        fn authenticate(&mut self, _: &Record, _: &Client) -> Verdict {
            self.1()
        }

        fn salt(&mut self, _: &[u8], wanted: &Wanted, _: &Client) -> Result<Option<Salt>, Unavailable> {
            match self.1() {
                Verdict::Accept(_) => Ok(wanted.for_clear.clone()),
                Verdict::Reject => Ok(None),
                Verdict::Unavailable(reason) => Err(reason),
            }
        }

        fn look_up(&mut self, _: &[u8], _: &[u8], _: &Client) -> Verdict {
            self.1()
        }

        fn change_password(&mut self, _: &PasswordChange) -> Changed {
            match self.1() {
                Verdict::Accept(_) => Changed::Done,
                Verdict::Reject => Changed::Reject,
                Verdict::Unavailable(reason) => reason.into(),
            }
        }

        fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
            let entry = |name: &str| Entry {
                name: name.into(),
                uid: 1,
                gid: 2,
                home: PathBuf::from("/h"),
                maildir: None,
                options: Options::default(),
            };
            match self.1() {
                Verdict::Accept(_) => {
                    let _ = each(&entry("alice")) && each(&entry("not\na name")) && each(&entry("bob"));
                    Ok(())
                }
                Verdict::Reject => Ok(()),
                Verdict::Unavailable(reason) => Err(reason),
            }
        }
    }

    /// What modules that say `verdicts` in turn answer, and what is logged.
    fn answer(verdicts: &[fn() -> Verdict], request: &[u8]) -> (String, String) {
        let names = ["one", "two", "three"];
        let module = |(name, verdict): (&&'static str, &fn() -> Verdict)| {
            Box::new(Always(name, *verdict)) as Box<dyn Module>
        };
        let list = names.iter().zip(verdicts).map(module).collect();
        let mut modules = Modules::new(list, Options::parse(b"x=1"));
        let mut reader = Reader::new();
        reader.push(request).unwrap();
        let mut written = Vec::new();
        let mut write = |octets: &[u8]| {
            written.extend_from_slice(octets);
            true
        };
        let answer = modules.answer(&reader.next_question().unwrap().unwrap(), &mut write);
        written.extend_from_slice(&answer.octets.unwrap_or_default());
        let trouble = answer.trouble.map(|trouble| trouble.to_string()).unwrap_or_default();
        (String::from_utf8(written).unwrap(), trouble)
    }

    const AUTH: &[u8] = b"AUTH 24\npop3\nlogin\nalice\nsecret\n";
    const ALICE: &str = "UID=1\nGID=2\nHOME=/h\nADDRESS=alice\nOPTIONS=x=1\n.\n";

    fn pair(octets: &str, trouble: &str) -> (String, String) {
        (octets.to_owned(), trouble.to_owned())
    }

    #[test]
    fn the_first_that_does_not_reject_answers() {
        for request in [AUTH, b"PRE . pop3 alice\n"] {
            assert_eq!(answer(&[], request), pair("FAIL\n", ""));
            assert_eq!(answer(&[reject, reject], request), pair("FAIL\n", ""));
            assert_eq!(answer(&[reject, accept, cannot], request), pair(ALICE, ""));
            assert_eq!(answer(&[reject, cannot, accept], request), pair("", "two: no"));
        }
    }

    #[test]
    fn no_control_octet_reaches_a_module() {
        for authtype in
            ["login", "cram-md5", "scram-sha-256", "oauthbearer", "xoauth2", "apop", "external", "x"]
        {
            for authdata in
                ["al\x01ice\nsecret\n", "alice\nsec\x7fret\n", "alice\r\nsecret\r\n", "alice\nsecret\n\t\n"]
            {
                let body = format!("pop3\n{authtype}\n{authdata}");
                let request = format!("AUTH {}\n{body}", body.len());
                assert_eq!(answer(&[cannot], request.as_bytes()), pair("FAIL\n", ""), "{body:?}");
            }
        }
    }

    #[test]
    fn who_has_heard_no_password_is_told_none() {
        fn accept() -> Verdict {
            let ids = Ids::numeric(1, 2).unwrap();
            let account = Account::new(b"alice".to_vec(), ids, "/h".into());
            let secret = |text: &str| Some(Secret::copy_of(text.as_bytes()));
            Verdict::Accept(Account {
                stored_password: secret("{PLAIN}secret"),
                clear_password: secret("secret"),
                server_signature: Some(b"signature".to_vec()),
                ..account
            })
        }
        let (said, _) = answer(&[accept], b"AUTH 31\npop3\nscram-sha-1\nalice\n#\n#\n#\n#\n");
        assert_eq!(
            said,
            "UID=1\nGID=2\nHOME=/h\nADDRESS=alice\nOPTIONS=x=1\nSERVERSIGNATURE=c2lnbmF0dXJl\n.\n"
        );
        let (said, _) = answer(&[accept], AUTH);
        assert!(said.contains("PASSWD={PLAIN}secret\nPASSWD2=secret\n"), "{said}");
    }

    #[test]
    fn a_salt_is_that_of_the_first_who_has_one() {
        let request = b"AUTH 37\npop3\nscram-sha-1\nalice\n4096:c2FsdA==\n";
        let salt = || pair("SALT=4096:c2FsdA==\n.\n", "");
        assert_eq!(answer(&[reject, accept, reject], request), salt());
        assert_eq!(answer(&[accept, cannot], request), salt());
        assert_eq!(answer(&[reject, cannot, accept], request), pair("", "two: no"));
        assert_eq!(answer(&[reject, reject], request), pair("FAIL\n", ""));
        // Nobody here makes salts for those who do not exist.
        assert_eq!(answer(&[accept], b"AUTH 21\npop3\nscram-sha-1\nbob\n"), pair("FAIL\n", ""));
    }

    #[test]
    fn pre_may_name_the_only_module_to_ask() {
        assert_eq!(answer(&[cannot, accept], b"PRE two pop3 alice\n"), pair(ALICE, ""));
        assert_eq!(answer(&[accept], b"PRE authpam pop3 alice\n"), pair("FAIL\n", ""));
    }

    #[test]
    fn a_password_is_changed_by_the_first_that_can() {
        let request = b"PASSWD pop3\talice\tsecret\tnew\n";
        assert_eq!(answer(&[reject, accept], request), pair("OK\n", ""));
        assert_eq!(answer(&[reject], request), pair("FAIL\n", ""));
        assert_eq!(answer(&[cannot, accept], request), pair("FAIL\n", "one: no"));
        assert_eq!(answer(&[accept], b"PASSWD pop3\talice\tsecret\t\n"), pair("FAIL\n", ""));
    }

    #[test]
    fn a_list_goes_through_all_modules_and_has_an_end_only_if_it_is_whole() {
        let list = "# one\n\nalice\t1\t2\t/h\t\t\nbob\t1\t2\t/h\t\t\n# two\n\n";
        assert_eq!(answer(&[accept, reject], b"ENUMERATE\n"), pair(&format!("{list}.\n"), ""));
        assert_eq!(answer(&[accept, cannot], b"ENUMERATE\n"), pair(list, "two: no"));
    }

    /// A module whose accounts have a hash of an old kind, and whose changes of
    /// passwords are as its name says.
    struct Old {
        name: &'static str,
        changes: usize,
    }

    impl Module for Old {
        fn name(&self) -> &str {
            self.name
        }

        fn authenticate(&mut self, _: &Record, _: &Client) -> Verdict {
            let Verdict::Accept(account) = accept() else { panic!() };
            match (self.name, self.changes) {
                ("cuts", 1..) => Verdict::Reject,
                _ => Verdict::Accept(Account { stored_password: Some(Secret::copy_of(SHA)), ..account }),
            }
        }

        fn look_up(&mut self, _: &[u8], _: &[u8], _: &Client) -> Verdict {
            Verdict::Reject
        }

        fn change_password(&mut self, change: &PasswordChange) -> Changed {
            assert!(change.is_renewal() && change.user() == b"alice");
            self.changes += 1;
            match self.name {
                "rejects" => Changed::Reject,
                "cannot" => Unavailable::new("no").into(),
                _ => Changed::Done,
            }
        }

        fn renews(&self) -> bool {
            self.name != "never"
        }
    }

    const SHA: &[u8] = b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    /// What is caught up with after a login at the second of two modules.
    fn renewed(modules: &mut Modules) -> Option<Renewed> {
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        let _said = modules.authenticate(&record, &Client::default());
        modules.catch_up()
    }

    fn renewing(name: &'static str) -> Modules {
        let list: Vec<Box<dyn Module>> =
            vec![Box::new(Always("one", reject)), Box::new(Old { name, changes: 0 })];
        Modules::new(list, Options::default()).renewing()
    }

    #[test]
    fn an_old_hash_is_stored_anew_by_the_module_that_has_accepted() {
        let mut modules = renewing("changes");
        let renewed_one = renewed(&mut modules).unwrap();
        assert_eq!(
            (renewed_one.module.as_str(), renewed_one.user.as_slice()),
            ("changes", b"alice".as_slice())
        );
        assert!(renewed_one.outcome.is_ok() && modules.catch_up().is_none());
        assert!(renewed(&mut renewing("cannot")).unwrap().outcome.is_err());
        assert!(renewed(&mut renewing("rejects")).is_none() && renewed(&mut renewing("never")).is_none());
    }

    #[test]
    fn nothing_more_is_stored_anew_where_that_locks_somebody_out() {
        let mut modules = renewing("cuts");
        assert!(renewed(&mut modules).unwrap().outcome.is_err());
        modules.list[1] = Box::new(Old { name: "changes", changes: 0 });
        assert!(renewed(&mut modules).is_none());
    }

    #[test]
    fn a_list_that_nobody_reads_ends() {
        let mut modules = Modules::one(Box::new(Always("one", accept)));
        let mut reader = Reader::new();
        reader.push(b"ENUMERATE\n").unwrap();
        let mut writes = 0;
        let mut write = |_: &[u8]| {
            writes += 1;
            false
        };
        let answer = modules.answer(&reader.next_question().unwrap().unwrap(), &mut write);
        assert!(answer.octets.is_none() && answer.trouble.is_some());
        assert_eq!(writes, 1);
    }
}
