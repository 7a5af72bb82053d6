//! authsqlite beside Courier's: the same settings and the same data base, the
//! same questions, the same answers.
//!
//! Where Courier's programs are not installed, or this user may not start
//! them, a line says so; with `CI=true` that is a failure.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use authlib::Record;
use authlib::cram::Proof;
use authlib::hmac_state::{Hash, States};
use rusqlite::Connection;
use testbed::courier::{self, Authdaemond};

const ACCOUNTS: &str = "
CREATE TABLE passwd (id text not null, crypt text, clear text, name text, uid int, gid int, home text,
    maildir text, defaultdelivery text, quota text, options text);
INSERT INTO passwd VALUES
    ('hashed', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, 'Hashed, H', 5000, 5001, '/home/h', NULL, '|d', '9S', 'a=1,b'),
    ('both', '$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1', 'clear', NULL, 5000, 5001, '/home/b', '/m', NULL, NULL, NULL),
    ('clear', '', 'clear', '', 5000, 5001, '/home/c', '', '', '', ''),
    ('locked', '*', 'clear', NULL, 5000, 5001, '/home/l', NULL, NULL, NULL, NULL),
    ('none', NULL, NULL, NULL, 5000, 5001, '/home/n', NULL, NULL, NULL, NULL),
    ('homeless', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, NULL, 5000, 5001, '', NULL, NULL, NULL, NULL),
    ('root', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, NULL, 0, 0, '/', NULL, NULL, NULL, NULL),
    ('twin', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, NULL, 5000, 5001, '/', NULL, NULL, NULL, NULL),
    ('twin', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, NULL, 5000, 5001, '/', NULL, NULL, NULL, NULL),
    ('it''s; --', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, NULL, 5000, 5001, '/q', NULL, NULL, NULL, NULL),
    ('dom@example.com', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', 'secret', NULL, 5000, 5001, '/d', NULL, NULL, NULL, NULL);
";

const FIELDS: &str = "
SQLITE_USER_TABLE	passwd
SQLITE_CRYPT_PWFIELD	crypt
SQLITE_CLEAR_PWFIELD	clear
SQLITE_NAME_FIELD	name
SQLITE_MAILDIR_FIELD	maildir
SQLITE_DEFAULTDELIVERY	defaultdelivery
SQLITE_QUOTA_FIELD	quota
SQLITE_AUXOPTIONS_FIELD	options
";

/// What stands in the sample file, on the table above.
const CLAUSES: &str = "
SQLITE_USER_TABLE	passwd
SQLITE_CRYPT_PWFIELD	crypt
DEFAULT_DOMAIN		example.com
SQLITE_SELECT_CLAUSE	SELECT '$(local_part)' || '@' || '$(domain)',	\\
			crypt,						\\
			clear, uid, gid,				\\
			home || '/x', 					\\
			'$(service)',					\\
			quota, '',					\\
			\"disableimap=\" || 1 || \",of=$(domain)\"	\\
			FROM passwd					\\
			WHERE id = '$(local_part)'			\\
			OR id = '$(local_part)@$(domain)'
SQLITE_ENUMERATE_CLAUSE SELECT id, uid, gid, home, '$(domain)', 's=$(service)' FROM passwd WHERE uid > 0 AND home > ''
SQLITE_CHPASS_CLAUSE	UPDATE passwd SET clear='$(newpass)', crypt='$(newpass_crypt)' WHERE id='$(local_part)'
";

/// Both, with one configuration and one data base.
struct Both {
    directory: tempfile::TempDir,
    theirs: Authdaemond,
    database: Connection,
    /// How often the settings were written.
    written: Cell<u64>,
}

impl Both {
    /// `None` where Courier's authdaemond cannot run, which is said.
    fn start(settings: &str) -> Option<Both> {
        if let Some(reason) = courier::missing_authdaemond() {
            courier::leave_out(&reason).unwrap();
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let database = Connection::open(directory.path().join("users.db")).unwrap();
        database.execute_batch(ACCOUNTS).unwrap();
        let mut theirs =
            Authdaemond::start_with(directory.path(), "authsqlite", &[("authsqliterc", "")]).unwrap();
        drop(theirs.command("true").unwrap());
        let both = Both { directory, theirs, database, written: Cell::new(0) };
        both.configure(settings);
        Some(both)
    }

    fn configure(&self, settings: &str) {
        let database = self.directory.path().join("users.db");
        let text = format!("SQLITE_DATABASE {}\n{settings}\n##NAME: MARKER:0\n", database.display());
        self.write(&text);
    }

    fn write(&self, text: &str) {
        let etc = self.theirs.configuration();
        let mut file = fs::File::create(etc.join("new")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        // Theirs looks at whole seconds only (ledger 700).
        let count = self.written.replace(self.written.get() + 1);
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + count)).unwrap();
        fs::rename(etc.join("new"), etc.join("authsqliterc")).unwrap();
    }

    fn theirs(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.directory.path().join("run/authdaemon/socket")).unwrap();
        stream.set_read_timeout(Some(testbed::PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        // Under our authdaemond this line is its own.
        answer.replace("# authsqlite\n\n", "")
    }

    fn ours(&self, request: &[u8]) -> String {
        let mut child = self.our_program().spawn().unwrap();
        child.stdin.take().unwrap().write_all(request).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    fn our_program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authsqlite"));
        command.env("POSTRIDER_SYSCONFDIR", self.theirs.configuration());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The answer of both, which is the same.
    fn same(&self, request: &[u8]) -> String {
        let (ours, mut theirs) = (self.ours(request), self.theirs(request));
        for nothing in ["\nNAME=\n", "\nPASSWD=\n", "\nPASSWD2=\n"] {
            // Ledger 707.
            theirs = theirs.replace(nothing, "\n");
        }
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(request));
        ours
    }

    fn stored(&self, column: &str, name: &str) -> String {
        let query = format!("SELECT {column} FROM passwd WHERE id = ?");
        self.database.query_row(&query, [name], |row| row.get(0)).unwrap()
    }
}

fn login(user: &str, password: &str) -> Vec<u8> {
    auth(Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap())
}

fn cram(hash: Hash, user: &str, password: &str) -> Vec<u8> {
    let digest = States::of(hash, password.as_bytes()).hmac(b"<1@x>");
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let proof = Proof::new(hash, b"<1@x>", format!("{user} {digits}").as_bytes()).unwrap();
    auth(Record::proof(b"pop3", &proof).unwrap())
}

fn auth(record: Record) -> Vec<u8> {
    let body = record.body();
    [format!("AUTH {}\n", body.len()).as_bytes(), body].concat()
}

fn pre(service: &str, user: &str) -> Vec<u8> {
    format!("PRE . {service} {user}\n").into_bytes()
}

fn passwd(user: &str, old: &str, new: &str) -> Vec<u8> {
    format!("PASSWD pop3\t{user}\t{old}\t{new}\n").into_bytes()
}

#[test]
fn the_same_accounts_are_let_in() {
    let Some(both) = Both::start(FIELDS) else { return };
    for (user, password, good) in [
        ("hashed", "secret", true),
        ("hashed", "wrong", false),
        ("both", "secret", true),
        ("both", "clear", false),
        ("locked", "clear", false),
        ("locked", "*", false),
        ("none", "secret", false),
        ("nobody", "secret", false),
        ("it's; --", "secret", true),
        ("x' OR '1'='1", "secret", false),
        ("dom@example.com", "secret", true),
        ("dom", "secret", false),
    ] {
        let answer = both.same(&login(user, password));
        assert_eq!(answer.starts_with("UID=5000\n") || answer.contains("\nUID=5000\n"), good, "{answer}");
    }
    for hash in Hash::ALL {
        for (user, password, good) in [
            ("both", "clear", true),
            ("both", "secret", false),
            ("nobody", "clear", false),
            ("hashed", "secret", false),
        ] {
            let answer = both.same(&cram(hash, user, password));
            assert_eq!(answer != "FAIL\n", good, "{user} {answer}");
        }
    }
}

#[test]
fn the_same_is_said_of_an_account_without_its_password() {
    let Some(both) = Both::start(FIELDS) else { return };
    for user in ["hashed", "both", "locked", "homeless", "nobody", "it's; --"] {
        for service in ["pop3", "courier"] {
            both.same(&pre(service, user));
        }
    }
}

#[test]
fn own_clauses_say_the_same() {
    let Some(both) = Both::start(CLAUSES) else { return };
    for (user, password) in [
        ("hashed", "secret"),
        ("hashed", "wrong"),
        ("both@", "secret"),
        ("dom", "secret"),
        ("dom@example.com", "secret"),
        ("dom@x", "secret"),
    ] {
        both.same(&login(user, password));
        both.same(&pre("imap", user));
    }
    assert!(both.same(&login("dom", "secret")).contains("\nADDRESS=dom@example.com\n"));
    assert!(both.same(b"ENUMERATE\n").contains("hashed\t5000\t5001\t/home/h\texample.com\ts=enumerate\n"));
}

#[test]
fn a_list_is_the_same_but_for_accounts_that_could_not_log_in() {
    let Some(both) = Both::start(FIELDS) else { return };
    let (ours, theirs) = (both.ours(b"ENUMERATE\n"), both.theirs(b"ENUMERATE\n"));
    let could: String = theirs
        .split_inclusive('\n')
        // Ledger 415.
        .filter(|line| !line.starts_with("root\t") && !line.starts_with("homeless\t"))
        .collect();
    assert_eq!(ours, could);
    assert_ne!(ours, theirs);
}

#[test]
fn passwords_changed_by_one_are_known_to_the_other() {
    for settings in [FIELDS, CLAUSES] {
        let Some(both) = Both::start(settings) else { return };
        assert_eq!(both.ours(&passwd("both", "secret", "it's new")), "OK\n");
        assert_eq!(both.stored("clear", "both"), "it's new");
        assert!(both.stored("crypt", "both").starts_with("$y$"), "ledger 457");
        assert_ne!(both.same(&login("both", "it's new")), "FAIL\n");
        assert_eq!(both.same(&login("both", "secret")), "FAIL\n");

        assert_eq!(both.theirs(&passwd("hashed", "secret", "newer")), "OK\n");
        assert!(both.stored("crypt", "hashed").starts_with("{SHA}"));
        assert_ne!(both.same(&login("hashed", "newer")), "FAIL\n");
        assert_ne!(both.same(&cram(Hash::Sha1, "hashed", "newer")), "FAIL\n");
        assert_eq!(both.same(&passwd("hashed", "wrong", "x")), "FAIL\n");
        assert_eq!(both.same(&passwd("nobody", "wrong", "x")), "FAIL\n");
    }
}

#[test]
fn both_follow_the_settings_file() {
    let Some(both) = Both::start(FIELDS) else { return };
    assert_eq!(both.same(&login("dom", "secret")), "FAIL\n");
    both.configure(&format!("{FIELDS}\nDEFAULT_DOMAIN example.com\n"));
    assert!(both.same(&login("dom", "secret")).contains("ADDRESS=dom@example.com\n"));
    both.configure(&format!("{FIELDS}\nSQLITE_WHERE_CLAUSE name IS NULL OR \\\n  name = ''\n"));
    assert_eq!(both.same(&login("hashed", "secret")), "FAIL\n");
    assert_ne!(both.same(&login("both", "secret")), "FAIL\n");
}

#[test]
fn neither_can_tell_where_there_are_two() {
    let Some(both) = Both::start(FIELDS) else { return };
    assert_eq!(both.same(&login("twin", "secret")), "");
    assert_eq!(both.same(&pre("pop3", "twin")), "");
}

/// Each of these fails if the difference goes away.
#[test]
fn differences_are_those_of_the_ledger() {
    let Some(both) = Both::start(FIELDS) else { return };
    let differ = |request: &[u8], ours: &str, theirs: &str| {
        let (our_answer, their_answer) = (both.ours(request), both.theirs(request));
        assert!(our_answer.contains(ours) && their_answer.contains(theirs), "{our_answer}\n{their_answer}");
        assert_ne!(our_answer, their_answer);
    };
    // Ledger 400.
    differ(&login("root", "secret"), "", "UID=0\n");
    assert_eq!(both.ours(&login("root", "secret")), "");
    // Ledger 704.
    differ(&login("homeless", "secret"), "FAIL\n", "UID=5000\n");
    // Ledger 707.
    differ(&login("clear", "clear"), "PASSWD2=clear\n", "\nNAME=\nPASSWD=\nPASSWD2=clear\n");
    differ(&pre("pop3", "hashed"), "HOME=/home/h\n", "\nPASSWD2=\n");
    assert!(!both.ours(&login("clear", "clear")).contains("=\n"));
    // Ledger 705.
    both.configure("SQLITE_SELECT_CLAUSE SELECT 'a', '', 'secret', 5000, 5000, '/h'\n");
    differ(&login("a", "secret"), "ADDRESS=a\n", "");
    // Ledger 706.
    both.configure(&format!("{FIELDS}\n").replace("QUOTA_FIELD\tquota", "QUOTA_FIELD"));
    differ(&login("both", "secret"), "ADDRESS=both\n", "");
    // Ledger 701.
    both.configure(&CLAUSES.replace("quota, ''", "'$(nothing)', ''"));
    differ(&login("hashed", "secret"), "", "ADDRESS=hashed@example.com\n");
    assert_eq!(both.ours(&login("hashed", "secret")), "");
}

/// Ledger 700. Theirs keeps the settings it had in some cases and loses them in
/// others.
#[test]
fn a_file_that_has_lost_its_end_is_not_taken_for_settings() {
    let Some(both) = Both::start(FIELDS) else { return };
    let mut kept = both.our_program().spawn().unwrap();
    let mut ask = || {
        kept.stdin.as_mut().unwrap().write_all(&login("hashed", "secret")).unwrap();
        let mut answer = [0; 1000];
        let octets = kept.stdout.as_mut().unwrap().read(&mut answer).unwrap();
        String::from_utf8(answer[..octets].to_vec()).unwrap()
    };
    let good = ask();
    assert!(good.starts_with("UID=5000\n"), "{good}");
    both.write("SQLITE_USER_TABLE passwd\n");
    assert_eq!(both.ours(&login("hashed", "secret")), "", "who starts now has no settings either");
    assert_eq!(ask(), good);
    drop(kept.stdin.take());
    let log = String::from_utf8(kept.wait_with_output().unwrap().stderr).unwrap();
    assert!(log.contains("WARN: marker line not found in "), "{log}");
    assert!(log.contains("authsqliterc; the settings stay as they were"), "{log}");
}

/// Also of those that are comments in it.
#[test]
fn every_setting_of_the_sample_file_is_known() {
    let Ok(sample) = fs::read_to_string("/etc/courier/authsqliterc") else {
        return courier::leave_out("/etc/courier/authsqliterc is not there (Debian: courier-authlib-sqlite)")
            .unwrap();
    };
    let mut text = String::new();
    let mut goes_on = false;
    for line in sample.lines() {
        let shown = line.strip_prefix('#').map(str::trim_start).unwrap_or_default();
        let is_name = shown.starts_with("SQLITE_") || shown.starts_with("DEFAULT_DOMAIN\t");
        goes_on |= is_name && shown.contains(char::is_whitespace) && !shown.contains(" - ");
        text.push_str(if goes_on { shown } else { line });
        text.push('\n');
        goes_on &= line.trim_end().ends_with('\\');
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("authsqliterc"), &text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_authsqlite"));
    let output = command.env("POSTRIDER_SYSCONFDIR", directory.path()).stdin(Stdio::null()).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    for name in ["SQLITE_SELECT_CLAUSE", "SQLITE_CHPASS_CLAUSE", "SQLITE_WHERE_CLAUSE", "DEFAULT_DOMAIN"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
    // All that is wrong is that its data base is not there, and that one of the
    // settings is shown in two ways.
    let wrong: Vec<_> = log
        .lines()
        .filter(|line| !line.ends_with("sets SQLITE_AUXOPTIONS_FIELD again and is not used"))
        .collect();
    assert!(wrong.len() == 1 && wrong[0].contains("unable to open database file"), "{log}");
}
