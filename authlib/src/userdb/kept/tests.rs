//! Changes of every kind, made while a file is believed; and those that GDBM itself
//! makes.

use std::fs::{self, File, FileTimes};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use system::stamp::{Lead, STEP, is_local};

use super::{Open, current};
use crate::userdb::database::{Builder, Lookup};
use crate::userdb::gdbm;

/// A data base of one account, and somebody who asks for it again and again.
struct Place {
    directory: tempfile::TempDir,
    open: Option<Open>,
}

impl Place {
    fn with(value: &str) -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap(), open: None };
        place.build("dat", value);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Each time alice's record is somewhere else.
    fn build(&self, name: &str, value: &str) {
        let _there_was_none = fs::remove_file(self.path(name));
        let mut builder = Builder::create(&self.path(name), 0o600).unwrap();
        let before = value.bytes().map(usize::from).sum::<usize>() % 509;
        builder.insert(b"bob", &vec![b'x'; before]).unwrap();
        builder.insert(b"alice", value.as_bytes()).unwrap();
        builder.finish().unwrap();
    }

    fn ask(&mut self) -> String {
        let reader = current(&mut self.open, &self.directory.path().join("dat"), Some(STEP)).unwrap();
        let value = reader.fetch(b"alice").unwrap().unwrap();
        String::from_utf8(value.expose().to_vec()).unwrap()
    }

    /// Since when what is open is believed.
    fn belief(&self) -> Option<Lead> {
        self.open.as_ref().and_then(|open| open.believed_since)
    }

    /// Asks until what is open is believed, where anything is.
    fn settle(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        self.ask();
        while self.belief().is_none() && is_local(File::open(self.directory.path()).unwrap()) {
            assert!(Instant::now() < end, "nothing is ever believed");
            sleep(Duration::from_millis(2));
            self.ask();
        }
    }
}

/// How somebody gives alice another value, as long as the one before.
type Way = fn(&Place, &str, &str);

const WAYS: [Way; 7] = [
    // As makeuserdb does.
    |place, _, new| {
        place.build("tmp", new);
        fs::rename(place.path("tmp"), place.path("dat")).unwrap();
    },
    // As cp does.
    |place, _, new| {
        place.build("tmp", new);
        fs::write(place.path("dat"), fs::read(place.path("tmp")).unwrap()).unwrap();
    },
    // Without another size, and with the time that it had.
    |place, old, new| {
        let file = File::options().read(true).write(true).open(place.path("dat")).unwrap();
        let octets = fs::read(place.path("dat")).unwrap();
        let at = octets.windows(old.len()).position(|octets| octets == old.as_bytes()).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(new.as_bytes(), at as u64).unwrap();
        file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    },
    // By the library, which puts the record elsewhere.
    |place, old, new| {
        let mut file = gdbm_native::OpenOptions::new().write(true).open(place.path("dat")).unwrap();
        file.remove(b"alice".as_slice()).unwrap();
        file.insert(format!("in{new}").as_bytes(), &old.as_bytes()[..old.len() - 3]).unwrap();
        file.insert(b"alice".as_slice(), new.as_bytes()).unwrap();
        file.close().unwrap();
    },
    // A link that leads elsewhere.
    |place, _, new| {
        let target = format!("target{new}");
        place.build(&target, new);
        symlink(place.path(&target), place.path("link")).unwrap();
        fs::rename(place.path("link"), place.path("dat")).unwrap();
    },
    // It is gone for a while.
    |place, _, new| {
        fs::remove_file(place.path("dat")).unwrap();
        place.build("dat", new);
    },
    // One comes that was there before, with its inode and the time of its contents.
    |place, _, new| {
        place.build("waiting", new);
        fs::rename(place.path("dat"), place.path("before")).unwrap();
        fs::rename(place.path("waiting"), place.path("dat")).unwrap();
    },
];

#[test]
fn what_stays_the_same_is_opened_once() {
    let mut place = Place::with("same");
    place.settle();
    let belief = place.belief();
    for _ in 0..10 {
        assert_eq!(place.ask(), "same");
        assert_eq!(place.belief(), belief);
    }
}

#[test]
fn what_was_changed_a_moment_ago_is_not_believed() {
    let mut place = Place::with("new");
    for _ in 0..3 {
        let path = place.path("dat");
        current(&mut place.open, &path, Some(Duration::from_secs(3600))).unwrap();
        assert!(place.belief().is_none());
    }
}

#[test]
fn the_next_question_hears_of_each_change_however_it_is_made() {
    let mut place = Place::with("000000");
    let mut old = place.ask();
    for round in 1..=12 * WAYS.len() {
        // Half of them while it is believed, the others as soon as can be.
        if round % 2 == 0 {
            place.settle();
        }
        let new = format!("{round:06}");
        WAYS[round % WAYS.len()](&place, &old, &new);
        assert_eq!(place.ask(), new);
        assert_eq!(place.ask(), new);
        old = new;
    }
}

#[test]
fn a_file_that_has_come_back_is_heard_of_as_well() {
    let mut place = Place::with("first");
    place.settle();
    for _ in 0..10 {
        fs::rename(place.path("dat"), place.path("first")).unwrap();
        place.build("dat", "other");
        assert_eq!(place.ask(), "other");
        fs::rename(place.path("first"), place.path("dat")).unwrap();
        assert_eq!(place.ask(), "first");
        place.settle();
    }
}

/// GDBM's own writer, which stores each line that it reads through a mapping.
const WRITER: &str = r#"
    use GDBM_File; $| = 1;
    my $dat = tie(my %dat, "GDBM_File", $ARGV[0], &GDBM_WRITER, 0600) or die "$!";
    while (<STDIN>) { chomp; $dat{"alice"} = $_; print "stored\n"; }
"#;

#[test]
fn what_gdbm_writes_in_place_is_heard_of_as_long_as_it_writes_and_afterwards() {
    let mut perl = Command::new("perl");
    if !perl.args(["-MGDBM_File", "-e", "1"]).stderr(Stdio::null()).status().is_ok_and(|it| it.success()) {
        return testbed::courier::leave_out("perl's GDBM_File is missing").unwrap();
    }
    let mut place = Place::with("000000");
    place.settle();
    let mut writer = Command::new("perl")
        .args(["-e", WRITER])
        .arg(place.path("dat"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = writer.stdin.take().unwrap();
    let mut said = BufReader::new(writer.stdout.take().unwrap());
    for round in 1..=20 {
        let new = format!("{round:06}");
        writeln!(stdin, "{new}").unwrap();
        said.read_line(&mut String::new()).unwrap();
        assert_eq!(place.ask(), new);
        // Old enough for the stamp to be believed, if it were for that alone.
        sleep(2 * STEP);
        assert_eq!(place.ask(), new);
        assert!(place.belief().is_none());
    }
    drop(stdin);
    assert!(writer.wait().unwrap().success());
    place.settle();
    assert_eq!(place.ask(), "000020");
    assert!(gdbm::Reader::new(File::open(place.path("dat")).unwrap()).is_ok());
}
