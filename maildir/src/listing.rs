//! Which message has which unique-id: the names in `cur/` and the size list
//! brought together (maildir.md 4 and 5). No file is opened here.

use std::collections::HashSet;
use std::io::{self, BufRead};

use crate::name;
use crate::order::InOrder;
use crate::scan::Names;
use crate::size::Size;
use crate::size_list::{self, GREATEST, Header, Line, Mark, Numbers};
use crate::unique_id::{Id, UniqueId};

/// Files with one unique name among which a line's file is looked for.
const SHARING: usize = 16;

/// Lines from which on a list is large: what is new is added at its end, and
/// there are numbers reserved for that (ledger 332).
const LARGE: usize = 256;
const RESERVE: u64 = 1000;

/// What is known of one message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Draft {
    /// `None` until one is given.
    pub(crate) id: Option<Id>,
    /// `None` until the file was read.
    pub(crate) size: Option<Size>,
    /// Where in the list it was found.
    found: Option<Found>,
    /// Whether it is left out of the maildrop; its line in the list stays.
    pub(crate) is_hidden: bool,
    /// Whether the id was given by [`Listing::assign`], and so is not in the
    /// list that is on disk.
    pub(crate) is_new: bool,
}

impl Draft {
    fn wants_id(&self) -> bool {
        self.id.is_none() && !self.is_hidden
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    line: usize,
    /// Whether the flags are the same as well.
    exactly: bool,
}

/// All messages of `cur/`, as far as the size list knows them.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Their names.
    pub(crate) names: Names,
    /// What is known of them, in the same order.
    pub(crate) drafts: Vec<Draft>,
    /// Whether the list has entries for files that were not seen.
    pub(crate) has_missing: bool,
    /// Whether those entries have to stay in the list, since the files may be
    /// there all the same.
    pub(crate) keeps_missing: bool,
    /// Whether the octets in the list are exact (ledger 304).
    is_exact: bool,
    /// Whether the list should be written although no unique-id is new.
    pub(crate) is_untidy: bool,
    /// Whether the last line of the list has no LF: somebody may be adding to it.
    pub(crate) is_torn: bool,
    next: u64,
    validity: u64,
    reserved: u64,
    /// The greatest uid that was ever given with `validity`, and with the time
    /// of this login as validity.
    used: u64,
    used_now: u64,
    /// The time of this login, in Unix seconds.
    now: u64,
}

impl Listing {
    /// Without a list: nothing is known.
    pub(crate) fn unknown(names: Names, now: u64) -> Listing {
        let mut listing = Listing::empty(names, now);
        listing.name_the_unlistable();
        listing.settle_conflicts();
        listing
    }

    fn empty(names: Names, now: u64) -> Listing {
        let drafts = vec![Draft::default(); names.len()];
        Listing {
            names,
            drafts,
            has_missing: false,
            keeps_missing: false,
            is_exact: false,
            is_untidy: false,
            is_torn: false,
            next: 1,
            validity: now,
            reserved: 0,
            used: 0,
            used_now: 0,
            now,
        }
    }

    /// Reads a list, and keeps of it what belongs to `names`. A last line without
    /// LF is one that somebody is writing, unless the list is `at_rest`.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn read(
        names: Names,
        list: &mut impl BufRead,
        at_rest: bool,
        now: u64,
    ) -> io::Result<Listing> {
        let listing = Listing::empty(names, now);
        let mut reading = Reading { listing, header: None, mark: None, at_rest, lines: 0, guess: 0 };
        reading.listing.is_torn = !size_list::for_each_line(list, |line, ended| reading.line(line, ended))?;
        Ok(reading.finish())
    }

    /// Whether the list has entries that it need not have.
    pub(crate) fn can_shrink(&self) -> bool {
        self.has_missing && !self.keeps_missing
    }

    /// The messages that have no unique-id yet.
    pub(crate) fn unassigned(&self) -> usize {
        self.drafts.iter().filter(|draft| draft.wants_id()).count()
    }

    /// What the list says about uids to come, or will when it is written.
    pub(crate) fn numbers(&self) -> Numbers {
        let next = self.next.max(self.used.saturating_add(1));
        Numbers { next, validity: self.validity, reserved: self.reserved }
    }

    /// Whether it is enough to add lines to the list for the messages that have no
    /// unique-id yet.
    pub(crate) fn can_grow(&self) -> bool {
        let is_fine = !self.is_untidy && !self.is_torn && !self.can_shrink();
        is_fine && self.numbers().have_room_for(self.unassigned())
    }

    /// Gives each message that has none a unique-id that no message ever had.
    ///
    /// # Errors
    /// If there are no more numbers, which no honest list gets to.
    pub(crate) fn assign(&mut self) -> io::Result<()> {
        self.next = self.numbers().next;
        for draft in self.drafts.iter_mut().filter(|draft| draft.wants_id()) {
            if self.next > GREATEST {
                if self.validity == self.now || self.used_now >= GREATEST {
                    return Err(io::Error::other("no more unique-ids"));
                }
                (self.validity, self.next) = (self.now, self.used_now + 1);
                self.reserved = 0;
            }
            draft.id = Some(Id::Numbered { uid: self.next, validity: self.validity });
            draft.is_new = true;
            self.next += 1;
        }
        Ok(())
    }

    /// Writes the list, and reserves numbers if it is a large one.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) fn write(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        let large = self.drafts.len() >= LARGE;
        let reserved = self.numbers().next.saturating_add(RESERVE);
        self.reserved = if large && reserved <= GREATEST { reserved } else { 0 };
        size_list::write_header(out, &self.numbers())?;
        self.lines(|_| true).try_for_each(|line| size_list::write_line(out, &line))
    }

    /// The lines of messages whose unique-ids are new.
    pub(crate) fn new_lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines(|draft| draft.is_new)
    }

    fn lines(&self, wanted: impl Fn(&Draft) -> bool) -> impl Iterator<Item = Line<'_>> {
        let all = self.names.iter().zip(&self.drafts).filter(move |(_, draft)| wanted(draft));
        all.filter_map(|(name, draft)| {
            let (uid, validity) = match draft.id? {
                Id::Numbered { uid, validity } => (uid, validity),
                Id::Name { validity } => (0, validity),
                Id::File { .. } => return None,
            };
            let (octets, utf8) =
                (draft.size.map(|size| size.octets), draft.size.is_some_and(|size| size.utf8));
            size_list::can_hold(name).then_some(Line { name, octets, uid, validity, utf8 })
        })
    }

    /// Writes the entries of the `old` list for files that were not seen, behind
    /// what [`Listing::write`] has written.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub(crate) fn write_missing(&self, old: &mut impl BufRead, out: &mut impl io::Write) -> io::Result<()> {
        let mut written = Ok(());
        size_list::for_each_line(old, |line, _| {
            let Some(line) = Line::parse(line).filter(|line| self.has_no_file(line.name)) else { return };
            let octets = line.octets.filter(|_| self.is_exact);
            if written.is_ok() {
                written = size_list::write_line(out, &Line { octets, ..line });
            }
        })?;
        written
    }

    fn has_no_file(&self, listed: &[u8]) -> bool {
        self.names.find(listed).is_none() && self.names.with_unique(name::unique(listed)).next().is_none()
    }

    /// The unique-id of the message at `index` as it would be shown.
    fn shown(&self, index: usize) -> Option<UniqueId<'_>> {
        let id = self.drafts.get(index)?.id?;
        Some(UniqueId { id, unique: name::unique(self.names.get(index)?) })
    }

    /// Takes away unique-ids that look like one that an earlier line of the
    /// list has, or like none (ledger 305).
    fn settle_conflicts(&mut self) {
        let mut numbers: Vec<(u64, u64, Option<Found>, usize)> = Vec::new();
        let mut texts: HashSet<&[u8]> = HashSet::new();
        let mut losers = Vec::new();
        for index in 0..self.drafts.len() {
            let Some(shown) = self.shown(index) else { continue };
            if let Some((uid, validity)) = shown.as_numbered() {
                numbers.push((uid, validity, self.drafts[index].found, index));
            } else if shown.unique.is_empty() || !texts.insert(shown.unique) {
                losers.push(index);
            }
        }
        numbers.sort_unstable();
        let same = numbers.windows(2).filter(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1));
        losers.extend(same.map(|pair| pair[1].3));
        for index in losers {
            self.drafts[index].id = None;
            self.is_untidy = true;
        }
    }

    /// Gives messages that the list cannot hold their name as unique-id, so
    /// that it is the same at each login (ledger 307).
    fn name_the_unlistable(&mut self) {
        for (name, draft) in self.names.iter().zip(&mut self.drafts) {
            let id = Id::Name { validity: 0 };
            if !size_list::can_hold(name) && (UniqueId { id, unique: name::unique(name) }).is_short() {
                draft.id = Some(id);
            }
        }
    }

    /// Takes note that a unique-id was given once, whoever has it now.
    fn count_as_used(&mut self, uid: u64, validity: u64) {
        if validity == self.validity {
            self.used = self.used.max(uid);
        }
        if validity == self.now {
            self.used_now = self.used_now.max(uid);
        }
    }
}

/// The list on its way into a listing.
struct Reading {
    listing: Listing,
    header: Option<Header>,
    mark: Option<Mark>,
    /// Whether nobody is writing.
    at_rest: bool,
    lines: usize,
    /// Where the next line's file should be, the list being in order mostly.
    guess: usize,
}

impl Reading {
    fn line(&mut self, line: &[u8], ended: bool) {
        self.lines += 1;
        if self.lines == 1 {
            self.header = Header::parse(line);
            if let Some(header) = self.header {
                self.listing.next = header.next.max(1);
                self.listing.validity = header.validity.unwrap_or(self.listing.now);
            }
        } else if self.header.is_some_and(|header| header.is_understood()) {
            match Line::parse(line) {
                Some(line) if ended || !self.is_added_to() => self.message(&line),
                // Cut short by a crash; Courier believes it too. What was behind may be missing.
                Some(line) if self.at_rest => self.message(&Line { octets: None, ..line }),
                Some(_) => {}
                None if self.lines == 2 => self.mark(Mark::parse(line)),
                None => {}
            }
        }
    }

    fn mark(&mut self, mark: Option<Mark>) {
        self.mark = mark;
        if let (Some(Mark { next: Some(next) }), Some(header)) = (mark, self.header)
            && next < header.next
        {
            (self.listing.next, self.listing.reserved) = (next.max(1), header.next);
        }
    }

    /// Whether lines are added to the list at its end.
    fn is_added_to(&self) -> bool {
        self.listing.reserved > 0
    }

    fn message(&mut self, line: &Line<'_>) {
        self.listing.count_as_used(line.uid, line.validity);
        let (index, exactly) = match self.file_of(line.name) {
            Some(found) => found,
            None => {
                self.listing.has_missing = true;
                return;
            }
        };
        self.guess = index + 1;
        let found = Found { line: self.lines, exactly };
        let Some(draft) = self.listing.drafts.get_mut(index) else { return };
        if let Some(earlier) = draft.found {
            // Two lines for one file: the same name wins, then the last one.
            self.listing.is_untidy = true;
            if earlier.exactly && !exactly {
                return;
            }
        }
        let id = match line.uid {
            0 => Id::Name { validity: line.validity },
            uid => Id::Numbered { uid, validity: line.validity },
        };
        let size = line.octets.map(|octets| Size { octets, utf8: line.utf8 });
        *draft = Draft { id: Some(id), size, found: Some(found), ..Draft::default() };
    }

    /// The file of this name, or one whose flags alone differ. Of several of
    /// those the first that no line has claimed is taken.
    fn file_of(&mut self, listed: &[u8]) -> Option<(usize, bool)> {
        let names = &self.listing.names;
        if names.get(self.guess) == Some(listed) {
            return Some((self.guess, true));
        }
        if let Some(index) = names.find(listed) {
            return Some((index, true));
        }
        let unique = name::unique(listed);
        let others: Vec<usize> = names.with_unique(unique).take(SHARING).collect();
        let unclaimed =
            |index: &&usize| self.listing.drafts.get(**index).is_some_and(|draft| draft.found.is_none());
        let index = others.iter().find(unclaimed).or_else(|| others.last()).copied()?;
        // Courier takes a name with and one without flags for two messages, so
        // it is told the new name (ledger 303).
        self.listing.is_untidy |= listed.len() == unique.len();
        Some((index, false))
    }

    fn finish(self) -> Listing {
        let Reading { mut listing, header, mark, .. } = self;
        let marked = mark.is_some();
        listing.is_exact = marked;
        listing.is_untidy |= !marked || !header.is_some_and(|header| header.is_current());
        if !marked {
            // Courier counted otherwise (ledger 304).
            listing.drafts.iter_mut().for_each(|draft| draft.size = None);
        }
        listing.name_the_unlistable();
        listing.settle_conflicts();
        for index in 0..listing.drafts.len() {
            if let Some((uid, validity)) = listing.shown(index).and_then(|shown| shown.as_numbered()) {
                listing.count_as_used(uid, validity);
            }
        }
        listing
    }
}

#[cfg(test)]
mod tests;
