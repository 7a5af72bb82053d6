//! The TRANSACTION state (RFC 1939 section 5), and what it leaves for UPDATE.

use alloc::vec;
use alloc::vec::Vec;

use crate::capability;
use crate::encoder::{Encoder, Sent};
use crate::language;
use crate::line::Line;
use crate::number::{self, MessageNumber};
use crate::reply::{self, put_line};
use crate::words::Words;
use crate::wrapper::Wrapper;

/// So many lines of nonsense in a row, and the client is dropped (ledger 106).
const ERRORS_IN_A_ROW: u32 = 25;

/// Octets of the longest keyword.
const LONGEST_KEYWORD: usize = 4;

/// What this state has to know of a maildrop. The answers stay the same as
/// long as the session lasts.
pub trait Maildrop {
    /// How many messages there are.
    fn count(&self) -> usize;

    /// Octets of the message at `place` (counted from 0) as RETR sends it,
    /// byte-stuffing and termination left out (RFC 1939 section 11).
    fn octets(&self, place: usize) -> u64;

    /// Whether the header of the message at `place` has 8-bit octets.
    fn is_utf8(&self, place: usize) -> bool;

    /// Appends the unique-id of the message at `place` (RFC 1939 section 7).
    fn put_unique_id(&self, place: usize, out: &mut Vec<u8>);

    /// What all messages come to. To be answered without looking at each of
    /// them, where that is known.
    fn total(&self) -> Total {
        let messages = 0..self.count();
        messages.fold(Total::default(), |total, place| total.and(self.octets(place), self.is_utf8(place)))
    }

    /// The lines of the answer to LIST or UIDL about all messages, if they are
    /// at hand: `1 120 CRLF`, `2 200 CRLF`, octets as [`Maildrop::octets`] has
    /// them.
    fn lines(&self, _about: About) -> Option<&[u8]> {
        None
    }
}

/// Several messages together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Their octets, as [`Maildrop::octets`] has them.
    pub octets: u64,
    /// How many of them have a header with 8-bit octets.
    pub utf8: u64,
}

impl Total {
    /// With one message more.
    #[must_use]
    pub fn and(self, octets: u64, utf8: bool) -> Total {
        Total { octets: self.octets.saturating_add(octets), utf8: self.utf8 + u64::from(utf8) }
    }
}

/// What the driver is to do. Replies that need no help are in `out` already.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on with the next line.
    Continue,
    /// LIST or UIDL: call [`Transaction::list`] until that was all.
    List(Listing),
    /// Open the message, call [`Transaction::begin`], feed the encoder, and
    /// finish it; or say that it is gone.
    Retrieve(Retrieval),
    /// QUIT: spend [`Transaction::into_update`], then answer.
    Update,
    /// The client talks nonsense and has been told so: close, delete nothing.
    Drop,
}

/// What a listing is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Octets: LIST.
    Octets,
    /// Unique-ids: UIDL.
    UniqueIds,
}

/// The answer to LIST or UIDL about all messages, from where it has got to. Its
/// first line has been given.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    about: About,
    /// The next place; where the lines are at hand, the next octet of them.
    next: usize,
}

/// A message that RETR or TOP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retrieval {
    /// Which one.
    pub message: MessageNumber,
    /// How many lines of the body, for TOP; `None` is RETR.
    pub top: Option<u64>,
}

/// A connection in the TRANSACTION state.
#[derive(Debug)]
pub struct Transaction<M> {
    maildrop: M,
    wrapper: Wrapper,
    utf8: bool,
    marked: Marked,
    errors: u32,
}

/// Which messages are marked as deleted. Most sessions mark none.
#[derive(Debug)]
struct Marked {
    /// By place; empty as long as none is.
    marks: Vec<bool>,
    count: usize,
}

impl Marked {
    fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    fn has(&self, place: usize) -> bool {
        self.marks.get(place) == Some(&true)
    }

    fn mark(&mut self, place: usize) {
        if self.marks.is_empty() {
            self.marks = vec![false; self.count];
        }
        self.marks[place] = true;
    }
}

impl<M: Maildrop> Transaction<M> {
    /// A session on `maildrop`, whose client has said UTF8 before login or has
    /// not; `wrapper` is for messages that it would not understand.
    #[must_use]
    pub fn new(maildrop: M, utf8: bool, wrapper: Wrapper) -> Self {
        let marked = Marked { marks: Vec::new(), count: maildrop.count() };
        Transaction { maildrop, wrapper, utf8, marked, errors: 0 }
    }

    /// The maildrop itself, for the driver.
    pub fn maildrop(&self) -> &M {
        &self.maildrop
    }

    /// The maildrop itself, for the driver.
    pub fn maildrop_mut(&mut self) -> &mut M {
        &mut self.maildrop
    }

    /// Whether QUIT would delete `message` now.
    pub fn is_marked(&self, message: MessageNumber) -> bool {
        self.marked.has(message.place())
    }

    /// Takes one line from the client.
    pub fn line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) -> Action {
        let answer = match line {
            Line::Text(text) => self.command(text, out),
            Line::TooLong => Err(reply::LINE_TOO_LONG),
            Line::Nul => Err(reply::NUL_IN_LINE),
        };
        match answer {
            Ok(action) => {
                self.errors = 0;
                action
            }
            Err(reply) => self.nonsense(reply, out),
        }
    }

    /// `Err` is the reply to nonsense; a sensible command that fails answers
    /// for itself.
    fn command(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<Action, reply::Reply> {
        let mut words = Words::new(text);
        let keyword = words.next().ok_or(reply::INVALID_COMMAND)?;
        let mut upper = [0; LONGEST_KEYWORD];
        let upper = upper.get_mut(..keyword.len()).ok_or(reply::INVALID_COMMAND)?;
        upper.copy_from_slice(keyword);
        upper.make_ascii_uppercase();
        let keyword: &[u8] = upper;
        match keyword {
            b"TOP" => return self.top(words),
            b"LIST" | b"UIDL" | b"RETR" | b"DELE" | b"LANG" => {}
            b"STAT" | b"RSET" | b"NOOP" | b"CAPA" | b"UTF8" | b"QUIT" => {
                if !words.ended() {
                    return Err(reply::SURPLUS_WORDS);
                }
            }
            _ => return Err(reply::INVALID_COMMAND),
        }
        let argument = words.only().map_err(|_| reply::SURPLUS_WORDS)?;
        match keyword {
            b"STAT" => self.stat(out),
            b"LIST" => return self.listing(argument, About::Octets, out),
            b"UIDL" => return self.listing(argument, About::UniqueIds, out),
            b"RETR" => {
                let message = self.message(argument)?;
                return Ok(Action::Retrieve(Retrieval { message, top: None }));
            }
            b"DELE" => {
                let message = self.message(argument)?;
                self.marked.mark(message.place());
                reply::put(reply::DELETED, out);
            }
            b"RSET" => {
                self.marked.marks = Vec::new();
                reply::put(reply::RESURRECTED, out);
            }
            b"NOOP" => reply::put(reply::YUP, out),
            b"CAPA" => capability::answer(None, out),
            b"LANG" => language::answer(argument, out),
            b"UTF8" => {
                // RFC 6856 has it before login only; Courier takes it here as
                // well, at once (ledger 207, kept).
                self.utf8 = true;
                reply::put(reply::UTF8_ENABLED, out);
            }
            _ => return Ok(Action::Update),
        }
        Ok(Action::Continue)
    }

    fn top(&self, mut words: Words<'_>) -> Result<Action, reply::Reply> {
        let message = self.message(words.next())?;
        let lines = words.only().map_err(|_| reply::SURPLUS_WORDS)?.ok_or(reply::INVALID_COMMAND)?;
        let lines = number::parse_digits(lines).ok_or(reply::INVALID_LINE_COUNT)?;
        Ok(Action::Retrieve(Retrieval { message, top: Some(lines) }))
    }

    /// The message that `word` names, unless it is marked as deleted.
    fn message(&self, word: Option<&[u8]>) -> Result<MessageNumber, reply::Reply> {
        word.and_then(MessageNumber::parse)
            .filter(|message| message.place() < self.marked.count && !self.marked.has(message.place()))
            .ok_or(reply::INVALID_MESSAGE_NUMBER)
    }

    /// Message-numbers from `first` on that are not marked as deleted. They never
    /// shift: after `DELE 3` there is a gap (RFC 1939 section 5).
    fn messages(&self, first: usize) -> impl Iterator<Item = MessageNumber> {
        let places = (first..self.marked.count).filter(|place| !self.marked.has(*place));
        places.filter_map(MessageNumber::of_place)
    }

    fn stat(&self, out: &mut Vec<u8>) {
        let (count, total) = if self.marked.is_empty() {
            (self.marked.count, self.maildrop.total())
        } else {
            self.messages(0).fold((0, Total::default()), |(count, total), message| {
                let place = message.place();
                (count + 1, total.and(self.maildrop.octets(place), self.maildrop.is_utf8(place)))
            })
        };
        let wrapped = if self.utf8 { 0 } else { total.utf8.saturating_mul(self.wrapper.octets()) };
        put_line!(out, "+OK {count} {}", total.octets.saturating_add(wrapped));
    }

    /// LIST and UIDL: about one message, or about all.
    fn listing(
        &self,
        argument: Option<&[u8]>,
        about: About,
        out: &mut Vec<u8>,
    ) -> Result<Action, reply::Reply> {
        if argument.is_some() {
            let message = self.message(argument)?;
            out.extend_from_slice(b"+OK ");
            self.put(about, message, out);
            return Ok(Action::Continue);
        }
        let heading = match about {
            About::Octets => reply::SCAN_LISTING,
            About::UniqueIds => reply::UNIQUE_ID_LISTING,
        };
        reply::put(heading, out);
        Ok(Action::List(Listing { about, next: 0 }))
    }

    /// Goes on with a listing until `out` holds about `enough` octets; whether
    /// that was all. The end of the reply comes with the last lines.
    pub fn list(&self, listing: &mut Listing, enough: usize, out: &mut Vec<u8>) -> bool {
        let all = match self.lines(listing.about) {
            Some(lines) => {
                let rest = lines.get(listing.next..).unwrap_or_default();
                let part = rest.len().min(enough.saturating_sub(out.len()).max(1));
                out.extend_from_slice(&rest[..part]);
                listing.next += part;
                part == rest.len()
            }
            None => self.list_by_line(listing, enough, out),
        };
        if all {
            reply::end(out);
        }
        all
    }

    fn list_by_line(&self, listing: &mut Listing, enough: usize, out: &mut Vec<u8>) -> bool {
        for message in self.messages(listing.next) {
            self.put(listing.about, message, out);
            listing.next = message.place() + 1;
            if out.len() >= enough {
                return false;
            }
        }
        true
    }

    /// The lines of a whole listing, if they are at hand and are what this
    /// client is to see now.
    fn lines(&self, about: About) -> Option<&[u8]> {
        let lines = self.maildrop.lines(about).filter(|_| self.marked.is_empty())?;
        let none_wrapped = about == About::UniqueIds || self.utf8 || self.maildrop.total().utf8 == 0;
        none_wrapped.then_some(lines)
    }

    fn put(&self, about: About, message: MessageNumber, out: &mut Vec<u8>) {
        match about {
            About::Octets => put_line!(out, "{message} {}", self.octets(message)),
            About::UniqueIds => self.put_unique_id(message, out),
        }
    }

    fn put_unique_id(&self, message: MessageNumber, out: &mut Vec<u8>) {
        use core::fmt::Write as _;
        // Writing into a vector cannot fail.
        let _ = write!(reply::Out(out), "{message} ");
        self.maildrop.put_unique_id(message.place(), out);
        out.extend_from_slice(b"\r\n");
    }

    fn octets(&self, message: MessageNumber) -> u64 {
        let octets = self.maildrop.octets(message.place());
        self.wrapper_for(message).map_or(octets, |wrapper| octets.saturating_add(wrapper.octets()))
    }

    /// The wrapper, if this client would not understand this message.
    fn wrapper_for(&self, message: MessageNumber) -> Option<&Wrapper> {
        (!self.utf8 && self.maildrop.is_utf8(message.place())).then_some(&self.wrapper)
    }

    /// Writes the first line of the answer to RETR or TOP. `octets` are those
    /// of the message as it is now on disk, counted as by [`Maildrop::octets`].
    pub fn begin(&self, retrieval: Retrieval, octets: u64, out: &mut Vec<u8>) -> Encoder {
        let wrapper = self.wrapper_for(retrieval.message);
        if let Some(lines) = retrieval.top {
            reply::put(reply::HEADERS_FOLLOW, out);
            return Encoder::top(lines, wrapper, out);
        }
        let octets = octets.saturating_add(wrapper.map_or(0, Wrapper::octets));
        put_line!(out, "+OK {octets} octets follow.");
        Encoder::whole(wrapper, out).announced(octets)
    }

    /// Writes the whole answer to RETR or TOP, about a message whose file is
    /// `text` and nothing more. What it announces is what it has: the message as
    /// it is now, not as it was when it was listed.
    pub fn retrieve(&self, retrieval: Retrieval, text: &[u8], out: &mut Vec<u8>) -> Sent {
        let begin = out.len();
        let listed = self.maildrop.octets(retrieval.message.place());
        let sent = self.retrieve_as(retrieval, listed, text, out);
        if sent.is_as_announced() {
            return sent;
        }
        out.truncate(begin);
        let wrapped = self.wrapper_for(retrieval.message).map_or(0, Wrapper::octets);
        self.retrieve_as(retrieval, sent.octets.saturating_sub(wrapped), text, out)
    }

    fn retrieve_as(&self, retrieval: Retrieval, octets: u64, text: &[u8], out: &mut Vec<u8>) -> Sent {
        let mut encoder = self.begin(retrieval, octets, out);
        encoder.push(text, out);
        encoder.finish(out)
    }

    fn nonsense(&mut self, reply: reply::Reply, out: &mut Vec<u8>) -> Action {
        self.errors += 1;
        if self.errors < ERRORS_IN_A_ROW {
            reply::put(reply, out);
            Action::Continue
        } else {
            reply::put(reply::TOO_MANY_ERRORS, out);
            Action::Drop
        }
    }

    /// Ends the state after QUIT: the maildrop, and what is to be deleted from
    /// it. A session that ends in any other way leaves no [`Update`].
    #[must_use]
    pub fn into_update(self) -> (M, Update) {
        (self.maildrop, Update { marked: self.marked.marks })
    }
}

/// The UPDATE state: the messages that QUIT deletes (RFC 1939 section 6).
#[derive(Debug)]
pub struct Update {
    marked: Vec<bool>,
}

impl Update {
    /// The places (counted from 0) of the messages to delete, ascending.
    pub fn into_places(self) -> impl Iterator<Item = usize> {
        self.marked.into_iter().enumerate().filter(|(_, marked)| *marked).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    /// Octets and the UTF-8 flag of each message.
    struct Sizes(Vec<(u64, bool)>);

    /// The same, with the lines of its listings at hand.
    struct Prepared(Sizes, Vec<u8>);

    impl Maildrop for Prepared {
        fn count(&self) -> usize {
            self.0.count()
        }
        fn octets(&self, place: usize) -> u64 {
            self.0.octets(place)
        }
        fn is_utf8(&self, place: usize) -> bool {
            self.0.is_utf8(place)
        }
        fn put_unique_id(&self, place: usize, out: &mut Vec<u8>) {
            self.0.put_unique_id(place, out);
        }
        fn lines(&self, _about: About) -> Option<&[u8]> {
            Some(&self.1)
        }
    }

    impl Maildrop for Sizes {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn octets(&self, place: usize) -> u64 {
            self.0[place].0
        }
        fn is_utf8(&self, place: usize) -> bool {
            self.0[place].1
        }
        fn put_unique_id(&self, place: usize, out: &mut Vec<u8>) {
            out.extend_from_slice(alloc::format!("UID{place}").as_bytes());
        }
    }

    fn session() -> Transaction<Sizes> {
        let sizes = Sizes(vec![(60, false), (55, false), (57, true)]);
        Transaction::new(sizes, true, Wrapper::new("=_b", "message/global"))
    }

    fn say<M: Maildrop>(session: &mut Transaction<M>, text: &str) -> (Action, String) {
        let mut out = vec![];
        let mut action = session.line(&Line::Text(text.as_bytes()), &mut out);
        if let Action::List(listing) = &mut action {
            while !session.list(listing, out.len() + 1, &mut out) {}
        }
        (action, String::from_utf8(out).unwrap())
    }

    #[test]
    fn numbers_keep_their_gaps_after_dele() {
        let mut session = session();
        say(&mut session, "DELE 2");
        assert_eq!(say(&mut session, "STAT").1, "+OK 2 117\r\n");
        let (_, listing) = say(&mut session, "LIST");
        assert!(listing.ends_with("STD53.\r\n1 60\r\n3 57\r\n.\r\n"), "{listing}");
        assert_eq!(say(&mut session, "UIDL").1, "+OK\r\n1 UID0\r\n3 UID2\r\n.\r\n");
        assert_eq!(say(&mut session, "DELE 2").1, "-ERR Invalid message number.\r\n");
        say(&mut session, "RSET");
        assert_eq!(say(&mut session, "LIST 2").1, "+OK 2 55\r\n");
    }

    #[test]
    fn lines_at_hand_are_sent_as_long_as_they_are_true() {
        let wrapper = || Wrapper::new("=_b", "message/global");
        let sizes = || Sizes(vec![(60, false), (57, true)]);
        let mut session = Transaction::new(Prepared(sizes(), b"lines\r\n".to_vec()), false, wrapper());
        assert_eq!(say(&mut session, "UIDL").1, "+OK\r\nlines\r\n.\r\n");
        // One of them is wrapped for this client.
        assert!(say(&mut session, "LIST").1.contains("\r\n1 60\r\n"));
        say(&mut session, "UTF8");
        assert!(say(&mut session, "LIST").1.ends_with("STD53.\r\nlines\r\n.\r\n"));
        say(&mut session, "DELE 1");
        assert_eq!(say(&mut session, "UIDL").1, "+OK\r\n2 UID1\r\n.\r\n");
        say(&mut session, "RSET");
        assert_eq!(say(&mut session, "UIDL").1, "+OK\r\nlines\r\n.\r\n");
    }

    #[test]
    fn what_quit_leaves_is_what_was_marked() {
        let mut session = session();
        say(&mut session, "DELE 1");
        say(&mut session, "DELE 3");
        assert_eq!(say(&mut session, "QUIT").0, Action::Update);
        let (_, update) = session.into_update();
        assert_eq!(update.into_places().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn arguments_are_taken_strictly() {
        let mut session = session();
        for (command, reply) in [
            ("RETR", reply::INVALID_MESSAGE_NUMBER),
            ("RETR 4", reply::INVALID_MESSAGE_NUMBER),
            ("RETR 1x", reply::INVALID_MESSAGE_NUMBER),
            ("DELE -1", reply::INVALID_MESSAGE_NUMBER),
            ("LIST 4294967297", reply::INVALID_MESSAGE_NUMBER),
            ("LIST 1 2", reply::SURPLUS_WORDS),
            ("NOOP x", reply::SURPLUS_WORDS),
            ("QUIT now", reply::SURPLUS_WORDS),
            ("TOP 1", reply::INVALID_COMMAND),
            ("TOP 1 x", reply::INVALID_LINE_COUNT),
            ("TOP 1 1 1", reply::SURPLUS_WORDS),
            ("STLS", reply::INVALID_COMMAND),
            ("USER a b", reply::INVALID_COMMAND),
            ("", reply::INVALID_COMMAND),
        ] {
            let (action, said) = say(&mut session, command);
            assert_eq!((action, said.trim_end()), (Action::Continue, reply), "{command}");
        }
    }

    #[test]
    fn a_client_without_utf8_sees_the_size_of_the_wrapped_message() {
        let sizes = Sizes(vec![(60, false), (57, true)]);
        let wrapper = Wrapper::new("=_b", "message/global");
        let wrapped = 57 + wrapper.octets();
        let mut session = Transaction::new(sizes, false, wrapper);
        assert_eq!(say(&mut session, "LIST 2").1, alloc::format!("+OK 2 {wrapped}\r\n"));
        assert_eq!(say(&mut session, "STAT").1, alloc::format!("+OK 2 {}\r\n", 60 + wrapped));
        let (action, _) = say(&mut session, "RETR 2");
        let Action::Retrieve(retrieval) = action else { panic!("{action:?}") };
        let mut out = vec![];
        session.begin(retrieval, 57, &mut out);
        assert!(out.starts_with(alloc::format!("+OK {wrapped} octets follow.\r\nFrom: ").as_bytes()));
    }

    #[test]
    fn what_is_announced_is_what_is_sent_whatever_was_listed() {
        let session = Transaction::new(
            Sizes(vec![(3, false), (99, false), (3, true), (99, true)]),
            false,
            Wrapper::new("=_b", "message/global"),
        );
        for place in 0..4 {
            let message = MessageNumber::of_place(place).unwrap();
            let mut out = b"+OK before\r\n".to_vec();
            let sent = session.retrieve(Retrieval { message, top: None }, b"x", &mut out);
            let text = String::from_utf8(out).unwrap();
            let (line, text) = text.strip_prefix("+OK before\r\n").unwrap().split_once("\r\n").unwrap();
            assert_eq!(line, alloc::format!("+OK {} octets follow.", sent.octets));
            assert_eq!(text.len() as u64, sent.octets + 3);
            assert!(text.contains("x\r\n") && text.ends_with("\r\n.\r\n"));
        }
    }

    #[test]
    fn nonsense_in_a_row_ends_the_session_and_sense_in_between_does_not() {
        let mut session = session();
        for _ in 0..100 {
            for _ in 0..24 {
                assert_eq!(say(&mut session, "XYZZY").0, Action::Continue);
            }
            assert_eq!(say(&mut session, "NOOP").0, Action::Continue);
        }
        for _ in 0..24 {
            say(&mut session, "XYZZY");
        }
        assert_eq!(say(&mut session, "XYZZY").0, Action::Drop);
    }

    #[test]
    fn after_login_nothing_is_offered_that_would_be_refused() {
        let (_, capabilities) = say(&mut session(), "CAPA");
        for refused in ["USER\r\nTOP", "SASL", "STLS"] {
            assert!(!capabilities.contains(refused), "{capabilities}");
        }
        assert!(capabilities.contains("\r\nUIDL\r\n"));
    }
}
