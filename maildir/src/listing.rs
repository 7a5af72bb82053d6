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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;

    fn names(names: &[&[u8]]) -> Names {
        Names::new(names.iter().copied())
    }

    fn read(files: &[&[u8]], list: &str) -> Listing {
        Listing::read(names(files), &mut list.as_bytes(), true, NOW).unwrap()
    }

    fn ids(listing: &Listing) -> Vec<String> {
        (0..listing.drafts.len())
            .map(|index| listing.shown(index).map_or_else(String::new, |shown| shown.to_string()))
            .collect()
    }

    /// As after a login that could save.
    fn assigned(files: &[&[u8]], list: &str) -> Vec<String> {
        let mut listing = read(files, list);
        listing.assign().unwrap();
        ids(&listing)
    }

    #[test]
    fn courier_keeps_its_numbers_and_loses_its_octets() {
        let listing = read(&[b"1.a:2,", b"2.b:2,S"], "/3 9 17\n1.a:2, 60 1:17:0\n2.b:2, 57 8:16:1\n");
        assert_eq!(ids(&listing), ["UID1-17", "UID8-16"]);
        assert!(listing.drafts.iter().all(|draft| draft.size.is_none()));
        assert!(listing.is_untidy && !listing.has_missing);
    }

    #[test]
    fn a_list_of_ours_is_believed() {
        let listing = read(
            &[b"1.a:2,", b"2.b:2,S"],
            "/3 9 17\n#postrider:exact-octets\n2.b:2, 57 8:16:1\n1.a:2, 60 1:17:0\n",
        );
        assert_eq!(listing.drafts[1].size, Some(Size { octets: 57, utf8: true }));
        assert!(!listing.is_untidy && !listing.has_missing);
    }

    #[test]
    fn the_mark_counts_as_second_line_only() {
        let listing = read(&[b"1.a:2,"], "/3 9 17\n1.a:2, 60 1:17:0\n#postrider:exact-octets\n");
        assert_eq!(listing.drafts[0].size, None);
    }

    #[test]
    fn versions_are_read_as_courier_reads_them() {
        let lines = "a:2, 60 1:17:0\n";
        let with = |header: &str| assigned(&[b"a:2,", b"b:2,"], &format!("{header}\n{lines}"));
        assert_eq!(with("/2 9 17"), ["UID1-17", "UID9-17"]);
        assert_eq!(with("/3 9"), ["UID1-17", "UID9-1800000000"]);
        assert_eq!(with("/3 9 0"), ["UID1-17", "UID9"]);
        assert_eq!(with("/1 10"), ["UID10-1800000000", "UID11-1800000000"]);
        assert_eq!(with("/4 10 1111111111"), ["UID10-1111111111", "UID11-1111111111"]);
        assert_eq!(with("/3"), ["UID1-1800000000", "UID2-1800000000"]);
        assert_eq!(with("junk"), ["UID1-1800000000", "UID2-1800000000"]);
        assert_eq!(assigned(&[b"a:2,"], ""), ["UID1-1800000000"]);
    }

    #[test]
    fn changed_flags_keep_the_number() {
        let list = "/3 9 17\na 60 1:17:0\nb:2,F 60 2:17:0\nc:2, 1 3:17:0\n";
        assert_eq!(assigned(&[b"a:2,S", b"b", b"c:2,RS"], list), ["UID1-17", "UID2-17", "UID3-17"]);
    }

    #[test]
    fn a_line_without_a_colon_is_rewritten_when_the_file_has_one() {
        let marked = "/3 9 17\n#postrider:exact-octets\n";
        assert!(read(&[b"a:2,S"], &format!("{marked}a 60 1:17:0\n")).is_untidy);
        assert!(!read(&[b"a:2,S"], &format!("{marked}a:2, 60 1:17:0\n")).is_untidy);
    }

    #[test]
    fn of_two_files_with_one_unique_name_the_listed_one_keeps_the_number() {
        let list = "/3 9 17\na:2,S 60 1:17:0\n";
        assert_eq!(assigned(&[b"a:2,", b"a:2,S"], list), ["UID9-17", "UID1-17"]);
    }

    #[test]
    fn of_two_lines_for_one_file_the_same_name_wins_and_then_the_last_line() {
        let list = "/3 9 17\na:2,S 60 1:17:0\na:2, 60 2:17:0\na:2,F 60 3:17:0\n";
        assert_eq!(assigned(&[b"a:2,"], list), ["UID2-17"]);
        assert_eq!(assigned(&[b"a:2,R"], list), ["UID3-17"]);
        assert_eq!(assigned(&[b"a:2,"], "/3 9 17\na:2, 60 1:17:0\na:2, 60 2:17:0\n"), ["UID2-17"]);
    }

    #[test]
    fn a_number_is_never_given_twice() {
        // A next number that is too low, and used by a file that is gone.
        assert_eq!(assigned(&[b"a:2,"], "/3 2 17\nz:2, 1 8:17:0\n"), ["UID9-17"]);
        // Two lines with one number.
        let twice = "/3 9 17\nb:2, 1 4:17:0\na:2, 1 4:17:0\n";
        assert_eq!(assigned(&[b"a:2,", b"b:2,"], twice), ["UID9-17", "UID4-17"]);
        // A name that looks like a number.
        let name = "/3 5 17\na:2, 1 4:17:0\nUID4-17:2, 1 0:17:0\nUID5-17:2, 1 0:17:0\n";
        assert_eq!(
            assigned(&[b"UID4-17:2,", b"UID5-17:2,", b"a:2,", b"b:2,"], name),
            ["UID6-17", "UID5-17", "UID4-17", "UID7-17"]
        );
    }

    #[test]
    fn when_the_numbers_end_a_new_validity_begins() {
        let list = format!("/3 {GREATEST} 17\nz 1 3:{NOW}:0\n");
        let greatest = format!("UID{GREATEST}-17");
        assert_eq!(assigned(&[b"a:2,", b"b:2,"], &list), [greatest, format!("UID4-{NOW}")]);
        let mut exhausted = read(&[b"a:2,", b"b:2,"], &format!("/3 {GREATEST} {NOW}\n"));
        assert!(exhausted.assign().is_err());
        assert_eq!(assigned(&[b"a:2,"], "/3 18446744073709551615 17\n"), [format!("UID1-{NOW}")]);
    }

    #[test]
    fn old_names_stay_unique_ids_as_long_as_they_are_unique() {
        let long = [b'x'; 100];
        let files: [&[u8]; 5] = [b":2,", b"a b:2,", b"c:2,", b"c:2,S", &long];
        let mut list = b"/3 9 17\n:2, 1 0:0:0\na b:2, 1 0:17:0\nc:2, 1 0:0:0\nc:2,S 1 0:0:0\n".to_vec();
        list.extend([&long[..], b" 1 0:0:0\n"].concat());
        let mut listing = Listing::read(names(&files), &mut list.as_slice(), true, NOW).unwrap();
        listing.assign().unwrap();
        let long = String::from_utf8(long.to_vec()).unwrap();
        assert_eq!(ids(&listing), ["UID9-17", "a+20b", "c", "UID10-17", &long]);
    }

    #[test]
    fn a_name_that_no_list_can_hold_is_its_own_unique_id() {
        let mut listing = read(&[b"a\nb:2,", b"a\nb:2,S", b"c:2,"], "/3 9 17\n");
        assert_eq!(ids(&listing), ["a+0Ab", "", ""]);
        listing.drafts[1].is_hidden = true;
        listing.assign().unwrap();
        let mut written = Vec::new();
        listing.write(&mut written).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "/3 10 17\n#postrider:exact-octets\nc:2, -1 9:17:0\n"
        );
    }

    #[test]
    fn what_is_hidden_keeps_its_line_and_gets_no_new_one() {
        let mut listing = read(&[b"a:2,", b"b:2,"], "/3 9 17\na:2, 1 4:17:0\n");
        listing.drafts.iter_mut().for_each(|draft| draft.is_hidden = true);
        assert_eq!(listing.unassigned(), 0);
        listing.assign().unwrap();
        let mut written = Vec::new();
        listing.write(&mut written).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "/3 9 17\n#postrider:exact-octets\na:2, -1 4:17:0\n");
    }

    #[test]
    fn many_files_with_one_unique_name_do_not_take_long() {
        let files: Vec<Vec<u8>> = (0..2000).map(|file| format!("a:2,{file}").into_bytes()).collect();
        let lines: String = (1..2000).map(|line| format!("a:2,x{line} 1 {line}:17:0\n")).collect();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let shown = assigned(&files, &format!("/3 9 17\n{lines}"));
        let different: HashSet<&String> = shown.iter().collect();
        assert_eq!(different.len(), files.len());
    }

    /// Names, few enough that lists and files meet often.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        let unique = prop_oneof!["[ab]", "UID[12](-17)?", "a\n", ""];
        (unique, prop_oneof![Just(""), Just(":2,"), Just(":2,S")])
            .prop_map(|(unique, info)| [unique.as_bytes(), info.as_bytes()].concat())
            .prop_filter("a file has a name", |name| !name.is_empty())
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let number = prop_oneof![0..4_u64, Just(GREATEST), any::<u64>()];
        let validity = prop_oneof![Just(17_u64), Just(0), Just(NOW), Just(GREATEST)];
        prop_oneof![
            8 => (name(), number, validity).prop_map(|(name, uid, validity)| {
                [&name, format!(" 5 {uid}:{validity}:0").as_bytes()].concat()
            }),
            1 => proptest::collection::vec(any::<u8>(), 0..40),
        ]
    }

    fn header() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"/3 2 17".to_vec()),
            Just(b"/2 1 17".to_vec()),
            Just(b"/3 0 0".to_vec()),
            Just(format!("/3 {GREATEST} 17").into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..20),
        ]
    }

    const OLD: &[u8] = b"/3 9 111\n#postrider:exact-octets\n1.a:2, 10 1:111:0\n2.b:2, 20 2:111:1\n";

    fn written(old: &[u8], seen: &[&[u8]]) -> String {
        let mut listing = Listing::read(Names::new(seen.iter().copied()), &mut &old[..], true, 222).unwrap();
        listing.keeps_missing = true;
        assert!(listing.has_missing && !listing.can_shrink());
        let mut out = Vec::new();
        listing.write(&mut out).unwrap();
        listing.write_missing(&mut &old[..], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_entry_whose_file_was_not_seen_can_be_kept() {
        let list = written(OLD, &[b"1.a:2,S"]);
        assert_eq!(list, "/3 9 111\n#postrider:exact-octets\n1.a:2,S 10 1:111:0\n2.b:2, 20 2:111:1\n");
        let later = Names::new([b"1.a:2,S".as_slice(), b"2.b:2,S"]);
        let listing = Listing::read(later, &mut list.as_bytes(), true, 222).unwrap();
        assert_eq!((listing.unassigned(), listing.has_missing), (0, false));
    }

    #[test]
    fn what_courier_has_counted_is_not_passed_off_as_exact() {
        let couriers = b"/3 9 111\n1.a:2, 10 1:111:0\n2.b:2, 20 2:111:1\n";
        assert!(written(couriers, &[b"1.a:2,"]).ends_with("2.b:2, -1 2:111:1\n"));
    }

    proptest! {
        #[test]
        fn no_list_makes_two_messages_look_the_same(
            files in proptest::collection::vec(name(), 0..12),
            header in header(),
            lines in proptest::collection::vec(line(), 0..12),
        ) {
            let list = [&[header], lines.as_slice()].concat().join(&b'\n');
            let files = || Names::new(files.iter().map(Vec::as_slice));
            let mut listing = Listing::read(files(), &mut list.as_slice(), true, NOW).unwrap();
            let known = ids(&listing);
            if listing.assign().is_err() {
                // A list may have used up all numbers.
                return Ok(());
            }
            let shown = ids(&listing);
            let different: HashSet<&String> = shown.iter().collect();
            prop_assert_eq!(different.len(), shown.len());
            for (known, shown) in known.iter().zip(&shown) {
                prop_assert!(known.is_empty() || known == shown);
            }

            // What is written is read back, whatever comes or goes.
            let mut written = Vec::new();
            listing.write(&mut written).unwrap();
            let again = Listing::read(files(), &mut written.as_slice(), true, NOW + 1).unwrap();
            let listable = |index: &usize| size_list::can_hold(listing.names.get(*index).unwrap());
            for index in (0..shown.len()).filter(listable) {
                prop_assert_eq!(&ids(&again)[index], &shown[index]);
            }
            prop_assert!(!again.has_missing);

            // And no number comes again for another message.
            let mut later = Listing::read(names(&[b"another"]), &mut written.as_slice(), true, NOW + 1).unwrap();
            later.assign().unwrap();
            prop_assert!(!shown.contains(&ids(&later)[0]));
        }

        #[test]
        fn no_bytes_are_too_strange_for_a_list(list: Vec<u8>, files in proptest::collection::vec(name(), 0..4)) {
            let names = Names::new(files.iter().map(Vec::as_slice));
            let listing = Listing::read(names, &mut list.as_slice(), true, NOW).unwrap();
            prop_assert!(listing.drafts.len() <= files.len());
        }
    }
}
