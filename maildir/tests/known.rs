//! Sessions that share what is known of a Maildir, while other programs do what
//! they can to change it unseen.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use maildir::{Listings, Maildrop};
use support::{Mailbox, unique_ids};

/// Longer than a step of the clock that stamps files.
const SETTLED: Duration = Duration::from_millis(30);

const ROOM: usize = 1 << 20;

/// The time, as it is: what is in `tmp/` must not look old to others.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn open(mailbox: &Mailbox, listings: &Listings) -> Maildrop {
    mailbox.maildir().open_maildrop_known(listings, now(), &mut |notice| panic!("{notice}")).unwrap()
}

/// Opens until what is known is settled; then nothing is read until something
/// changes.
fn open_settled(mailbox: &Mailbox, listings: &Listings) -> Maildrop {
    open(mailbox, listings);
    thread::sleep(SETTLED);
    open(mailbox, listings)
}

/// Whether both look at one and the same listing.
fn share(one: &Maildrop, other: &Maildrop) -> bool {
    let lines = |maildrop: &Maildrop| maildrop.unique_id_lines().map(<[u8]>::as_ptr);
    lines(one).is_some() && lines(one) == lines(other)
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,S"]);
    let ids = unique_ids(&mailbox.open());
    let listings = Listings::new(ROOM);
    let first = open_settled(&mailbox, &listings);
    let second = open(&mailbox, &listings);
    assert!(share(&first, &second));
    let lines = format!("1 {}\r\n2 {}\r\n", ids[0], ids[1]);
    assert_eq!(second.unique_id_lines().unwrap(), lines.as_bytes());
    assert_eq!(second.octets_lines().unwrap(), b"1 8\r\n2 9\r\n");
    assert_eq!(second.total(), (17, 0));
}

type Change = fn(&Mailbox);

#[test]
fn every_kind_of_change_is_seen() {
    let changes: [(&str, Change); 7] = [
        ("delivery", |mailbox| mailbox.write("new/3.c", "x")),
        ("delivery into cur", |mailbox| mailbox.write("cur/3.c:2,", "x")),
        ("flags", |mailbox| mailbox.rename("cur/1.a:2,", "cur/1.a:2,F")),
        ("removal", |mailbox| mailbox.remove("cur/1.a:2,")),
        ("another cur", |mailbox| {
            mailbox.rename("cur", "old");
            fs::create_dir(mailbox.path("cur")).unwrap();
        }),
        ("Courier's list", |mailbox| {
            mailbox.write("tmp/list", "/3 9 17\n1.a:2, 8 8:17:0\n");
            mailbox.rename("tmp/list", "courierpop3dsizelist");
        }),
        ("no list", |mailbox| mailbox.remove("courierpop3dsizelist")),
    ];
    for (what, change) in changes {
        let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,S"]);
        let listings = Listings::new(ROOM);
        let before = open_settled(&mailbox, &listings);
        change(&mailbox);
        set_times_back(&mailbox);
        let after = open(&mailbox, &listings);
        assert!(!share(&before, &after), "{what}");
        assert_eq!(unique_ids(&after), unique_ids(&mailbox.open()), "{what}");
    }
}

#[test]
fn what_was_read_while_it_changed_is_not_believed() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    let listings = Listings::new(ROOM);
    // Within one step of the clock, as often as not.
    for number in 2..200 {
        let names = [format!("cur/{number}.x:2,"), format!("cur/{number}.y:2,")];
        mailbox.write(&names[0], "x");
        open(&mailbox, &listings);
        mailbox.rename(&names[0], &names[1]);
        let seen = open(&mailbox, &listings);
        let last = seen.name(seen.places().last().unwrap());
        assert_eq!(last, &names[1].as_bytes()[4..]);
    }
}

#[test]
fn a_message_that_could_not_be_read_is_looked_for_again() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    let listings = Listings::new(ROOM);
    open_settled(&mailbox, &listings);
    mailbox.write("courierpop3dsizelist.lock", "");
    fs::remove_file(mailbox.path("courierpop3dsizelist.lock")).unwrap();
    fs::create_dir(mailbox.path("courierpop3dsizelist.lock")).unwrap();
    mailbox.write("new/3.c", "x");
    let open = |expected: usize| {
        let opened = mailbox.maildir().open_maildrop_known(&listings, now(), &mut |_| ()).unwrap();
        assert_eq!(opened.len(), expected);
    };
    open(2);
    thread::sleep(SETTLED);
    open(2);
    // Nothing changes in `cur/`, `new/` or the list.
    fs::remove_dir(mailbox.path("courierpop3dsizelist.lock")).unwrap();
    open(3);
}

#[test]
fn sessions_that_share_a_listing_have_names_of_their_own() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    let listings = Listings::new(ROOM);
    open_settled(&mailbox, &listings);
    let (mut one, mut other) = (open(&mailbox, &listings), open(&mailbox, &listings));
    assert!(share(&one, &other));
    one.mark_seen(one.place(0).unwrap()).unwrap();
    assert_eq!(one.name(one.place(0).unwrap()), b"1.a:2,S");
    assert_eq!(other.name(other.place(0).unwrap()), b"1.a:2,");
    other.open_message(other.place(0).unwrap()).unwrap();
    assert_eq!(other.name(other.place(0).unwrap()), b"1.a:2,S");
    assert_eq!(support::remove(&mut other, &[0, 1]), (2, 0, 0, vec![]));
    assert_eq!(support::remove(&mut one, &[0]), (0, 1, 0, vec![]));
    assert_eq!(open(&mailbox, &listings).len(), 0);
}

#[test]
fn another_directory_in_the_place_of_cur_is_not_opened() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    let listings = Listings::new(ROOM);
    open_settled(&mailbox, &listings);
    let mut maildrop = open(&mailbox, &listings);
    mailbox.rename("cur", "old");
    fs::create_dir(mailbox.path("cur")).unwrap();
    mailbox.write("cur/1.a:2,", "another one");
    assert!(maildrop.open_message(maildrop.place(0).unwrap()).is_err());
    assert_eq!(support::remove(&mut maildrop, &[0]), (0, 0, 1, vec![]));
    assert_eq!(mailbox.names("cur"), ["1.a:2,"]);
}

#[test]
fn there_is_room_for_so_much_and_the_oldest_goes() {
    let mailboxes: Vec<Mailbox> = (0..3).map(|_| Mailbox::with(&["1.a:2,"])).collect();
    let one_and_a_half = {
        let mut room = 64;
        loop {
            let listings = Listings::new(room);
            let first = open_settled(&mailboxes[0], &listings);
            if share(&first, &open(&mailboxes[0], &listings)) {
                break room + room / 2;
            }
            room += 64;
        }
    };
    let listings = Listings::new(one_and_a_half);
    let first = open_settled(&mailboxes[0], &listings);
    assert!(share(&first, &open(&mailboxes[0], &listings)));
    open_settled(&mailboxes[1], &listings);
    assert!(!share(&first, &open(&mailboxes[0], &listings)));
    let none = Listings::new(0);
    assert_eq!(open_settled(&mailboxes[2], &none).unique_id_lines(), None);
}

/// Gives `cur/` and `new/` the times of files that have not changed for long.
fn set_times_back(mailbox: &Mailbox) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["cur", "new"] {
        let directory = File::open(mailbox.path(name)).unwrap();
        directory.set_times(FileTimes::new().set_modified(old).set_accessed(old)).unwrap();
    }
}

/// When something was done: it had not begun before the first instant, and was
/// over at the second.
type Span = (Instant, Instant);

/// What became of one message.
#[derive(Default)]
struct Life {
    came: Option<Span>,
    went: Option<Span>,
    renamed: Vec<Span>,
}

impl Life {
    fn must_be_seen(&self, (begin, end): Span) -> bool {
        let came = self.came.is_some_and(|(_, over)| over < begin);
        let stays = self.went.is_none_or(|(begun, _)| begun > end);
        // A reading of a directory may miss what is renamed meanwhile, all the
        // more where somebody renames all the time (ledger 311).
        let rests = self.renamed.iter().all(|(begun, over)| *over < begin || *begun > end);
        came && stays && rests
    }

    fn may_be_seen(&self, (begin, end): Span) -> bool {
        let came = self.came.is_some_and(|(begun, _)| begun < end);
        came && self.went.is_none_or(|(_, over)| over > begin)
    }
}

/// A small generator of numbers: what is done need not be foreseen, and must be
/// the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

type Lives = BTreeMap<String, Life>;

/// Another program at work on a Maildir.
struct Racer<'a> {
    number: u64,
    mailbox: &'a Mailbox,
    dice: Dice,
    lives: &'a Mutex<Lives>,
    /// Unique names and paths in `cur/`.
    there: Vec<(String, String)>,
}

impl Racer<'_> {
    /// Delivers, renames and removes in bursts that are shorter than a step of
    /// the clock, with times set back, and pauses in which a listing can settle.
    fn run(&mut self) {
        for number in 0..400 {
            self.deliver(format!("{}.{}", 1_000_000_000 + number, self.number));
            match self.dice.below(4) {
                0 => self.remove(),
                1 => self.flag(),
                _ => {}
            }
            if self.dice.below(3) == 0 {
                set_times_back(self.mailbox);
            }
            match self.dice.below(8) {
                0 => thread::sleep(Duration::from_millis(20 + self.dice.below(30))),
                1 | 2 => thread::sleep(Duration::from_millis(self.dice.below(5))),
                _ => {}
            }
        }
    }

    fn note(&self, unique: &str, note: impl FnOnce(&mut Life)) {
        note(self.lives.lock().unwrap().entry(unique.to_owned()).or_default());
    }

    fn deliver(&mut self, unique: String) {
        let begun = Instant::now();
        let to = if self.dice.below(2) == 0 { format!("new/{unique}") } else { format!("cur/{unique}:2,") };
        self.mailbox.write(&format!("tmp/{unique}"), "x");
        self.mailbox.rename(&format!("tmp/{unique}"), &to);
        self.note(&unique, |life| life.came = Some((begun, Instant::now())));
        self.there.push((unique.clone(), format!("cur/{unique}:2,")));
    }

    /// Some message but the last, which no session may have moved yet.
    fn any(&mut self) -> Option<usize> {
        let others = self.there.len().checked_sub(1).filter(|others| *others > 0)?;
        Some(self.dice.below(others as u64) as usize)
    }

    fn remove(&mut self) {
        let Some(index) = self.any() else { return };
        let begun = Instant::now();
        if fs::remove_file(self.mailbox.path(&self.there[index].1)).is_ok() {
            let (unique, _) = self.there.remove(index);
            self.note(&unique, |life| life.went = Some((begun, Instant::now())));
        }
    }

    fn flag(&mut self) {
        let Some(index) = self.any() else { return };
        let (unique, name) = self.there[index].clone();
        let other = name.strip_suffix('F').map_or_else(|| format!("{name}F"), str::to_owned);
        let begun = Instant::now();
        if fs::rename(self.mailbox.path(&name), self.mailbox.path(&other)).is_ok() {
            self.note(&unique, |life| life.renamed.push((begun, Instant::now())));
            self.there[index].1 = other;
        }
    }
}

#[test]
fn no_change_is_missed_however_others_race() {
    let processes = [Listings::new(ROOM), Listings::new(ROOM)];
    race(&Mailbox::new(), [&processes[0], &processes[0], &processes[1]]);
}

/// Such a listing goes along with what is done.
fn large() -> Mailbox {
    let mailbox = Mailbox::new();
    for number in 0..600 {
        mailbox.write(&format!("cur/{}.of-those-that-were-there:2,", 900_000_000 + number), "x");
    }
    mailbox
}

#[test]
fn no_change_of_a_large_maildrop_is_missed_however_others_race() {
    let listings = Listings::new(ROOM);
    race(&large(), [&listings; 3]);
}

#[test]
fn processes_that_race_for_a_large_maildrop_agree() {
    let processes = [Listings::new(ROOM), Listings::new(ROOM)];
    race(&large(), [&processes[0], &processes[0], &processes[1]]);
}

/// What a session saw: when, each racer's messages with their unique-ids, and which
/// listing.
type View = (Span, Vec<(String, String)>, Option<usize>);

fn see(mailbox: &Mailbox, listings: &Listings) -> View {
    let begin = Instant::now();
    let maildrop = open(mailbox, listings);
    let span = (begin, Instant::now());
    let one = |place| {
        let name = String::from_utf8(maildrop.name(place).to_vec()).unwrap();
        (name.split(':').next().unwrap().to_owned(), maildrop.unique_id(place).to_string())
    };
    let ids = maildrop.places().map(one).filter(|(name, _)| name.starts_with("10"));
    (span, ids.collect(), maildrop.unique_id_lines().map(|lines| lines.as_ptr() as usize))
}

/// Two programs at work, and sessions with the listings of their `processes`.
fn race(mailbox: &Mailbox, processes: [&Listings; 3]) {
    let lives = Mutex::new(Lives::new());
    let over = AtomicBool::new(false);
    let (lives_of_all, over_for_all) = (&lives, &over);
    let session = |listings| {
        move || {
            let mut views = Vec::new();
            while !over_for_all.load(Ordering::Acquire) {
                views.push(see(mailbox, listings));
                thread::sleep(Duration::from_millis(1));
            }
            views
        }
    };
    let racer = |number| {
        move || {
            let dice = Dice(20_260_101 + number);
            Racer { number, mailbox, dice, lives: lives_of_all, there: Vec::new() }.run();
        }
    };
    let mut views = thread::scope(|scope| {
        let sessions = processes.map(|listings| scope.spawn(session(listings)));
        let racers = [scope.spawn(racer(1)), scope.spawn(racer(2))];
        racers.into_iter().for_each(|racer| racer.join().unwrap());
        thread::sleep(SETTLED);
        over.store(true, Ordering::Release);
        sessions.map(|session| session.join().unwrap()).concat()
    });
    // Now that nobody does anything, all see the same.
    for listings in processes {
        let maildrop = open(mailbox, listings);
        let name = |place| String::from_utf8(maildrop.name(place).to_vec()).unwrap();
        let (seen, there) = (maildrop.places().map(name).collect(), mailbox.names("cur"));
        let there: BTreeSet<String> = there.into_iter().collect();
        let wrong: Vec<&String> = there.symmetric_difference(&seen).collect();
        assert_eq!(wrong, [""; 0]);
        views.push(see(mailbox, listings));
    }

    let lives = lives.into_inner().unwrap();
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for (span, ids, _) in &views {
        let seen: BTreeMap<&str, &str> = ids.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
        assert_eq!(seen.len(), ids.len());
        for (name, life) in &lives {
            let is_seen = seen.contains_key(name.as_str());
            assert!(is_seen || !life.must_be_seen(*span), "{name} was there and not seen");
            assert!(!is_seen || life.may_be_seen(*span), "{name} was seen and not there");
        }
        for (name, id) in seen {
            assert_eq!(*known.entry(name).or_insert(id), id, "{name} had two unique-ids");
        }
    }
    let mut ids: Vec<&str> = known.values().copied().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), known.len(), "a unique-id had two messages");
    let mut neighbours = views.iter().zip(views.iter().skip(1));
    assert!(neighbours.any(|(one, next)| one.2.is_some() && one.2 == next.2), "nothing was known");
}
