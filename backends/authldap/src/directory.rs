//! The directory: who is found in it, and what is changed.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use authlib::rcfile::Settings;
use authlib::{Secret, Unavailable};

use crate::ldap::connection::{Connection, Failure, Found};
use crate::ldap::entry::Entry;
use crate::ldap::filter::{Filter, Names};
use crate::ldap::message::{Page, ResultCode, Search};
use crate::link::Link;
use crate::passwords::{self, Passwords, Typical};
use crate::settings::{Config, understood};

/// Entries of a list that are asked for at once.
const PAGE: u32 = 100;
/// Most pages in a row on which nothing is.
const MOST_EMPTY_PAGES: u32 = 100;
/// From so many entries it is learnt what passwords look like.
const SAMPLES: u32 = 10;
/// A name that no entry has.
const NOBODY: &str = "cn=nobody has this name";
/// What LDAP_EMAILMAP leads nobody to.
const NO_HANDLE: &[u8] = b"nobody has this handle";
/// So many refusals are remembered.
const REFUSALS: usize = 16;
/// Longest time that refusing nobody takes.
const LONGEST_REFUSAL: Duration = Duration::from_secs(2);

/// The directory of one authldaprc.
pub(crate) struct Directory {
    config: Config,
    /// Bound as LDAP_BINDDN, or as nobody.
    searching: Link,
    /// Bound as whoever says to be somebody. (`LDAP_AUTHBIND`)
    binding: Link,
    /// What passwords look like here.
    typical: Typical,
    /// How long the server took to refuse the last wrong passwords.
    refusals: VecDeque<Duration>,
}

/// What a search for one entry has found.
enum Sought {
    Nobody,
    One(Entry),
    Several,
}

impl Directory {
    /// As `settings` say. Nothing is opened yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Unavailable> {
        let (config, identity) = understood(settings)?;
        Ok(Directory {
            searching: Link::new(config.servers.clone(), identity),
            binding: Link::new(config.servers.clone(), None),
            typical: Typical::default(),
            refusals: VecDeque::new(),
            config,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Opens the connection that every question needs.
    pub(crate) fn prepare(&mut self) -> Result<(), Unavailable> {
        self.searching.with(|_| Ok(()))
    }

    /// Lets go of both connections.
    pub(crate) fn close(&mut self) {
        self.searching.close();
        self.binding.close();
    }

    /// The entry of `user`, with its passwords as far as they are shown. Whoever
    /// asks first also learns what passwords look like here.
    pub(crate) fn find(&mut self, user: &[u8]) -> Result<Option<Entry>, Unavailable> {
        if !self.config.is_bind_proof && !self.typical.is_known() {
            self.learn()?;
        }
        let handle = self.handle(&self.config.in_domain(user))?;
        let is_somebody = handle.is_some();
        // Nobody is looked for as well, so that this takes as long.
        let (attribute, value) =
            handle.unwrap_or_else(|| (self.config.attributes.mail.clone(), NO_HANDLE.to_vec()));
        let filter = both(self.config.filter.as_ref(), Filter::equal(&attribute, &value));
        let mut attributes = self.config.attributes.of_account();
        attributes.extend(self.config.attributes.of_passwords());
        match sought(&mut self.searching, &only(&self.config, &self.config.base, &filter, &attributes))? {
            _ if !is_somebody => Ok(None),
            Sought::Nobody => Ok(None),
            Sought::One(entry) => Ok(Some(entry)),
            Sought::Several => Err(ambiguous("the name")),
        }
    }

    /// What the entry of `name` is found by: an attribute and its value. `None`
    /// if LDAP_EMAILMAP leads nowhere.
    fn handle(&mut self, name: &[u8]) -> Result<Option<(String, Vec<u8>)>, Unavailable> {
        let (Some(map), Some(names)) = (&self.config.email_map, split_address(name)) else {
            return Ok(Some((self.config.attributes.mail.clone(), name.to_vec())));
        };
        let filter = map.filter.encode(names);
        match sought(&mut self.searching, &only(&self.config, &map.base, &filter, &[&map.attribute]))? {
            Sought::Nobody => Ok(None),
            Sought::Several => Err(ambiguous("LDAP_EMAILMAP")),
            Sought::One(entry) => {
                let mut handles = entry.values(&map.attribute);
                match (handles.next(), handles.next()) {
                    (None, _) => Ok(None),
                    (Some(handle), None) => Ok(Some((map.mail.clone(), handle.to_vec()))),
                    (Some(_), Some(_)) => Err(ambiguous("LDAP_EMAILMAP_ATTRIBUTE")),
                }
            }
        }
    }

    /// Whether `password` is that of `entry`. What is nobody's takes as long.
    pub(crate) fn is_right(&mut self, entry: Option<&Entry>, password: &[u8]) -> Result<bool, Unavailable> {
        if self.config.is_bind_proof {
            return self.is_bound(entry, password);
        }
        self.passwords(entry)?.verify(password, &self.typical)
    }

    /// The passwords of `entry`; nobody has none.
    pub(crate) fn passwords(&self, entry: Option<&Entry>) -> Result<Passwords, Unavailable> {
        let passwords = entry.map(|entry| Passwords::of(entry, &self.config.attributes));
        passwords.transpose().map(Option::unwrap_or_default)
    }

    /// Whether the server takes `password` for that of `entry`. It is asked
    /// about nobody too, and as it has nothing to compare then, the answer
    /// waits until one of the last wrong passwords would have been refused.
    fn is_bound(&mut self, entry: Option<&Entry>, password: &[u8]) -> Result<bool, Unavailable> {
        let begin = Instant::now();
        let nobody = [NOBODY, self.config.base.as_str()].join(",");
        let dn = entry.map_or(nobody.as_bytes(), Entry::dn);
        let code = self.binding.with(|connection| connection.bind(dn, password))?;
        let is_bound = match (entry, code) {
            (Some(_), code) => says_yes(code)?,
            // As some servers say of nobody.
            (None, ResultCode::NO_SUCH_OBJECT) => false,
            (None, code) => says_yes(code).map(|_| false)?,
        };
        if entry.is_none() {
            thread::sleep(self.usual_refusal().saturating_sub(begin.elapsed()));
        } else if !is_bound {
            self.refusals.truncate(REFUSALS - 1);
            self.refusals.push_front(begin.elapsed().min(LONGEST_REFUSAL));
        }
        Ok(is_bound)
    }

    /// How long refusing takes: one of the last times, another one each time.
    fn usual_refusal(&mut self) -> Duration {
        let Some(usual) = self.refusals.pop_back() else { return Duration::ZERO };
        self.refusals.push_front(usual);
        usual
    }

    /// Gives the owner of `entry` the password `new`: with LDAP_AUTHBIND in his
    /// own name, else as LDAP_BINDDN. The `old` one was right a moment ago.
    pub(crate) fn change(&mut self, entry: &Entry, old: &Secret, new: &Secret) -> Result<(), Unavailable> {
        let changes = passwords::replacing(entry, &self.config.attributes, new)?;
        let changes: Vec<(&str, &[u8])> =
            changes.iter().map(|(name, value)| (*name, value.expose())).collect();
        if !self.config.is_bind_proof {
            return self.searching.with(|connection| connection.modify(entry.dn(), &changes));
        }
        self.binding.with(|connection| {
            match connection.bind(entry.dn(), old.expose())? {
                ResultCode::SUCCESS => {}
                code => return Err(Failure::Refused(code)),
            }
            match changes.is_empty() {
                false => connection.modify(entry.dn(), &changes),
                true => connection.modify_password(entry.dn(), old.expose(), new.expose()),
            }
        })
    }

    /// Gives every entry that has LDAP_MAIL to `each`, until that says no
    /// (ledger 750).
    pub(crate) fn list(&mut self, each: &mut dyn FnMut(&Config, &Entry) -> bool) -> Result<(), Unavailable> {
        let config = &self.config;
        let filter = both(config.enumerate_filter.as_ref(), Filter::present(&config.attributes.mail));
        let attributes = config.attributes.of_account();
        let search = config.search(&config.base, 0, &filter, &attributes);
        let (mut has_begun, mut goes_on) = (false, true);
        let listed = self.searching.with(|connection| {
            let mut each = |entry| {
                has_begun = true;
                goes_on = each(config, &entry);
                goes_on
            };
            match pages(connection, &search, &mut each) {
                // Another server's list would begin anew.
                Err(Failure::Lost(why)) if has_begun => Ok(Err(Unavailable::new(why))),
                listed => listed.map(|found| whole(&found)),
            }
        })?;
        if goes_on && listed.is_ok() {
            return Ok(());
        }
        // The rest of the list is still to come on it.
        self.searching.close();
        if goes_on { listed } else { Ok(()) }
    }

    /// Looks at some entries, to know what passwords look like here. Where the
    /// server does not want that, nobody knows.
    fn learn(&mut self) -> Result<(), Unavailable> {
        let config = &self.config;
        let filter = both(config.filter.as_ref(), Filter::present(&config.attributes.mail));
        let attributes: Vec<&str> = config.attributes.of_passwords().collect();
        let search = config.search(&config.base, SAMPLES, &filter, &attributes);
        let typical = &mut self.typical;
        let mut learn = |entry: Entry| {
            if let Ok(passwords) = Passwords::of(&entry, &config.attributes) {
                typical.learn(&passwords);
            }
            true
        };
        self.searching.with(|connection| match connection.search(&search, None, &mut learn) {
            Err(Failure::Refused(_)) | Ok(_) => Ok(()),
            Err(lost) => Err(lost),
        })
    }
}

/// LDAP_FILTER, if there is one, and another, as they travel.
fn both(first: Option<&Filter>, other: Filter) -> Vec<u8> {
    let filters = first.cloned().into_iter().chain([other]).collect();
    Filter::all(filters).encode(Names::default()).to_vec()
}

/// A search for an entry that should be the only one; two are enough to see
/// that it is not.
fn only<'a>(config: &Config, base: &'a str, filter: &'a [u8], attributes: &'a [&'a str]) -> Search<'a> {
    config.search(base, 2, filter, attributes)
}

fn sought(link: &mut Link, search: &Search<'_>) -> Result<Sought, Unavailable> {
    let (found, sought) = link.with(|connection| {
        let mut sought = Sought::Nobody;
        let mut seek = |entry| {
            sought = match sought {
                Sought::Nobody => Sought::One(entry),
                Sought::One(_) | Sought::Several => Sought::Several,
            };
            true
        };
        let found = connection.search(search, None, &mut seek)?;
        Ok((found, sought))
    })?;
    match sought {
        Sought::Nobody => whole(&found).map(|()| Sought::Nobody),
        sought => Ok(sought),
    }
}

/// Every page of what `search` finds, entry by entry, until `each` says no.
fn pages(
    connection: &mut Connection,
    search: &Search<'_>,
    each: &mut dyn FnMut(Entry) -> bool,
) -> Result<Found, Failure> {
    let (mut all, mut cookie, mut empty_pages) = (Found::default(), Vec::new(), 0);
    loop {
        let mut is_empty = true;
        let mut each_of_page = |entry| {
            is_empty = false;
            each(entry)
        };
        let found =
            connection.search(search, Some(Page { size: PAGE, cookie: &cookie }), &mut each_of_page)?;
        all.has_references |= found.has_references;
        empty_pages = if is_empty { empty_pages + 1 } else { 0 };
        match found.cookie {
            Some(next) if empty_pages <= MOST_EMPTY_PAGES => cookie = next,
            Some(_) => return Err(Failure::Lost("a list without an end".to_owned())),
            None => return Ok(all),
        }
    }
}

/// Whether the server has told everything (ledger 743).
fn whole(found: &Found) -> Result<(), Unavailable> {
    if found.has_references {
        return Err(Unavailable::new("the server refers to others, which are not asked"));
    }
    Ok(())
}

/// Who is meant cannot be told (ledger 741).
fn ambiguous(what: &str) -> Unavailable {
    Unavailable::new(format!("{what} leads to more than one entry"))
}

/// What a bind says of a password (ledger 742).
fn says_yes(code: ResultCode) -> Result<bool, Unavailable> {
    match code {
        ResultCode::SUCCESS => Ok(true),
        ResultCode::INVALID_CREDENTIALS | ResultCode::INAPPROPRIATE_AUTHENTICATION => Ok(false),
        code => Err(Unavailable::new(format!("bind: {code}"))),
    }
}

/// `user@realm`
fn split_address(name: &[u8]) -> Option<Names<'_>> {
    let at = name.iter().rposition(|&octet| octet == b'@')?;
    Some(Names { user: &name[..at], realm: &name[at + 1..] })
}
