//! `postrider user`: accounts that a person makes without any configuration,
//! and `postrider serve` that lets them in.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod built;
mod terminal;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use authlib::userdb::Userdb;
use authlib::{Record, Verdict};
use tempfile::TempDir;
use testbed::Outcome;
use testbed::chain::Account;
use testbed::client::Client;
use testbed::process::daemon;
use testbed::service::Service;
use testbed::stand::Programs;

/// A place in which nothing is configured.
struct House {
    directory: TempDir,
    programs: Programs,
    /// Whose the accounts' mail is: ours, or if that is root's an account's.
    owner: (u32, u32),
}

/// What a program said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    output: String,
    errors: String,
    status: i32,
}

impl House {
    fn new() -> House {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        testbed::stand::make_public(directory.path()).unwrap();
        let programs = built::programs(&directory.path().join("bin")).unwrap();
        let owner = Account::new(directory.path().join("alice")).owner;
        House { directory, programs, owner }
    }

    /// A path below the directory of the service.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("data/postrider").join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = daemon(self.programs.path("postrider"));
        command.args(words).env("XDG_DATA_HOME", self.directory.path().join("data"));
        command
    }

    fn postrider(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    fn user(&self, words: &[&str], input: &str) -> Said {
        self.postrider(&[&["user"], words].concat(), input)
    }

    /// `user add`, for root with the ids that it has to name.
    fn add(&self, name: &str, password: &str) -> Said {
        self.user(&[&["add", name], &*self.ids()].concat(), &format!("{password}\n"))
    }

    fn ids(&self) -> Vec<&'static str> {
        if !nix::unistd::geteuid().is_root() {
            return Vec::new();
        }
        let leaked = |id: u32| &*id.to_string().leak();
        vec!["--uid", leaked(self.owner.0), "--gid", leaked(self.owner.1)]
    }

    fn mode(&self, name: &str) -> u32 {
        self.path(name).metadata().unwrap().permissions().mode() & 0o7777
    }

    fn accepts(&self, name: &str, password: &str) -> bool {
        let record = Record::login(b"pop3", name.as_bytes(), password.as_bytes()).unwrap();
        matches!(Userdb::of(&self.path("userdb")).check(&record), Verdict::Accept(_))
    }

    /// The service, and what its log said until it listened.
    fn serve(&self) -> (Service, String) {
        let log = self.directory.path().join("log");
        fs::write(&log, "").unwrap();
        let mut service = Service::start(self.command(&[]), &self.path(""), &log, None).unwrap();
        service.connect().unwrap();
        let end = std::time::Instant::now() + testbed::PATIENCE;
        loop {
            let said = fs::read_to_string(&log).unwrap();
            if said.contains("postrider user add") || said.contains("curl -u") {
                return (service, said);
            }
            assert!(std::time::Instant::now() < end, "{said}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

fn log_in(service: &mut Service, name: &str, password: &str) -> Outcome<Client<TcpStream>> {
    let mut client = Client::greeted(service.connect()?)?;
    client.command(&format!("USER {name}"))?;
    client.command(&format!("PASS {password}"))?;
    Ok(client)
}

fn refused(errors: &str) -> Said {
    Said { output: String::new(), errors: format!("postrider: {errors}\n"), status: 1 }
}

fn done(output: &str) -> Said {
    Said { output: output.to_owned(), errors: String::new(), status: 0 }
}

#[test]
fn who_is_added_can_log_in_until_the_password_is_another_or_the_account_is_gone() {
    let house = House::new();
    let (service, said) = house.serve();
    assert!(said.contains("INFO: there are no accounts yet; make one: postrider user add NAME"), "{said}");
    assert_eq!(house.mode("") & 0o7066, 0);
    drop(service);

    let maildir = house.path("mail/alice/Maildir");
    let made = format!("alice has an account. Mail: {}\n", maildir.display());
    assert_eq!(house.add("alice", "secret"), done(&made));
    let (mut service, said) = house.serve();
    let expected = format!("INFO: try it: curl -u alice pop3://{}/\n", service.address());
    assert!(said.contains(&expected), "{said}");
    fs::write(maildir.join("new/1.message"), "Subject: one\n\nhello\n").unwrap();
    fs::set_permissions(maildir.join("new/1.message"), fs::Permissions::from_mode(0o644)).unwrap();
    let mut client = log_in(&mut service, "alice", "secret").unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();

    assert_eq!(house.user(&["passwd", "alice"], "other\n"), done("alice has another password.\n"));
    assert!(log_in(&mut service, "alice", "secret").is_err());
    log_in(&mut service, "alice", "other").unwrap().quit().unwrap();

    let home = house.path("mail/alice");
    let gone = format!("alice has no account any more. Its mail is left: {}\n", home.display());
    assert_eq!(house.user(&["del", "alice"], ""), done(&gone));
    assert!(log_in(&mut service, "alice", "other").is_err());
    assert!(maildir.join("cur").exists());

    // Who comes back finds the mail.
    let kept = format!("alice has an account. Mail: {}, as it was\n", maildir.display());
    assert_eq!(house.add("alice", "third"), done(&kept));
    let mut client = log_in(&mut service, "alice", "third").unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
    let gone = "alice has no account any more. Its mail is gone too.\n";
    assert_eq!(house.user(&["del", "alice", "--mail"], ""), done(gone));
    assert!(!home.exists());
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    let house = House::new();
    assert_eq!(house.add("alice", "secret").status, 0);
    // Root's directories let the owners of mail through, and show them nothing.
    let is_root = nix::unistd::geteuid().is_root();
    let way = if is_root { 0o711 } else { 0o700 };
    assert_eq!((house.mode(""), house.mode("mail")), (way, way));
    assert_eq!((house.mode("userdb"), house.mode("userdbshadow.dat")), (0o600, 0o600));
    let own = ["", "/Maildir", "/Maildir/tmp", "/Maildir/new", "/Maildir/cur"];
    for path in own.map(|part| format!("mail/alice{part}")) {
        let status = house.path(&path).metadata().unwrap();
        assert_eq!(house.mode(&path), 0o700, "{path}");
        assert_eq!((status.uid(), status.gid()), house.owner, "{path}");
    }
    let left: Vec<_> = testbed::maildrop::names(&house.path("mail")).unwrap();
    assert_eq!(left, ["alice"]);
}

#[test]
fn accounts_are_listed_and_shown_without_secrets() {
    let house = House::new();
    assert_eq!(house.user(&["list"], ""), done(""));
    assert_eq!(house.add("bob", "secret").status, 0);
    assert_eq!(house.add("alice@example.com", "secret").status, 0);
    assert_eq!(house.user(&["list"], ""), done("bob\nalice@example.com\n"));
    let ((uid, gid), home) = (house.owner, house.path("mail/bob"));
    let shown = format!("uid={uid}\ngid={gid}\nhome={}\nsystempw=(not shown)\n", home.display());
    assert_eq!(house.user(&["show", "bob"], ""), done(&shown));
    // So it does where the directory is named.
    let directory = house.path("").display().to_string();
    assert_eq!(house.user(&["--directory", &directory, "show", "bob"], ""), done(&shown));
    let stored = fs::read_to_string(house.path("userdb")).unwrap();
    assert_eq!(stored.matches("|systempw=$y$").count(), 2);
}

#[test]
fn wrong_words_are_answered_with_the_usage_and_help_is_no_error() {
    let house = House::new();
    for (words, usage) in [
        (&["--help"][..], "Usage: postrider serve"),
        (&["-h"], "Usage: postrider serve"),
        (&["user", "--help"], "Usage: postrider user add NAME"),
        (&["user", "add", "-h"], "Usage: postrider user add NAME"),
        (&["serve", "--help"], "Usage: postrider serve ["),
        (&["--version"], concat!("postrider ", env!("CARGO_PKG_VERSION"))),
    ] {
        let said = house.postrider(words, "");
        assert!(said.output.starts_with(usage) && said.errors.is_empty() && said.status == 0, "{said:?}");
    }
    for (words, errors) in [
        (&[][..], "Usage: postrider serve"),
        (&["frob"], "Usage: postrider serve"),
        (&["user"], "Usage: postrider user add"),
        (&["user", "frob"], "postrider: what is frob?\nUsage: postrider user add"),
        (&["user", "add"], "postrider: add whom?\nUsage: "),
        (&["user", "add", "alice", "secret"], "postrider: what is secret?\nUsage: "),
        (&["user", "passwd"], "postrider: passwd whom?\nUsage: "),
        (&["user", "show"], "postrider: show whom?\nUsage: "),
        (&["user", "list", "alice"], "postrider: what is alice?\nUsage: "),
        (&["user", "del", "alice", "--all"], "postrider: what is --all?\nUsage: "),
        (&["user", "add", "../x"], "postrider: \"../x\" cannot be a name: it begins with a dot\nUsage: "),
        (&["user", "add", "a/b"], "postrider: \"a/b\" cannot be a name: it holds a slash\nUsage: "),
        (&["user", "add", "a\nb"], "postrider: \"a"),
        (&["serve", "--frob"], "postrider: what is --frob?\nUsage: postrider serve"),
    ] {
        let said = house.postrider(words, "secret\n");
        assert!(said.errors.starts_with(errors) && said.output.is_empty(), "{words:?} {said:?}");
        assert_eq!(said.status, 1, "{words:?}");
    }
    assert!(!house.path("").exists());
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let house = House::new();
    assert_eq!(house.add("alice", "secret").status, 0);
    assert_eq!(house.add("alice", "other"), refused("there is an account alice already"));
    assert_eq!(house.add("bob", ""), refused("the password is empty; nobody could log in with it."));
    for words in [&["passwd", "bob"][..], &["show", "bob"], &["del", "bob"], &["del", "bob", "--mail"]] {
        assert_eq!(house.user(words, "secret\n"), refused("there is no account bob"), "{words:?}");
    }
    assert_eq!(house.user(&["passwd", "alice"], ""), refused("no password was given."));
    // In the way of whose mail there is something else.
    symlink("/", house.path("mail/bob")).unwrap();
    let in_the_way = house.add("bob", "secret");
    assert!(in_the_way.status == 1 && in_the_way.errors.contains("mail/bob"), "{in_the_way:?}");
    assert_eq!(house.user(&["list"], ""), done("alice\n"));
    assert!(house.accepts("alice", "secret"));
}

#[test]
fn root_has_to_name_the_ids_and_nobody_else_may() {
    let house = House::new();
    let is_root = nix::unistd::geteuid().is_root();
    let said = if is_root {
        house.user(&["add", "alice", "--uid", "1000"], "secret\n")
    } else {
        house.user(&["add", "alice", "--uid", "4000000000"], "secret\n")
    };
    assert!(said.status == 1 && said.output.is_empty(), "{said:?}");
    for option in ["--uid", "--gid"] {
        let said = house.user(&["add", "alice", "--uid", "1000", "--gid", "1000", option, "0"], "secret\n");
        assert!(said.status == 1 && said.errors.contains("0 is no id of an ordinary user"), "{said:?}");
    }
    assert!(!house.path("userdb").exists());
}

#[test]
fn every_secret_that_lets_into_pop3_follows_a_new_password() {
    let house = House::new();
    assert_eq!(house.add("alice", "secret").status, 0);
    let text = fs::read_to_string(house.path("userdb")).unwrap();
    let with_own = text.replace("|systempw=", "|pop3pw={CLEAR}old|imappw={CLEAR}old|systempw=");
    fs::write(house.path("userdb"), with_own).unwrap();
    assert_eq!(house.user(&["passwd", "alice"], "other\n").status, 0);
    assert!(house.accepts("alice", "other") && !house.accepts("alice", "old"));
    assert!(fs::read_to_string(house.path("userdb")).unwrap().contains("|imappw={CLEAR}old|"));
}

#[test]
fn accounts_that_are_made_at_once_are_all_there() {
    let house = House::new();
    let names: Vec<String> = (0..8).map(|number| format!("user{number}")).collect();
    std::thread::scope(|scope| {
        let adding: Vec<_> = names.iter().map(|name| scope.spawn(|| house.add(name, name))).collect();
        adding.into_iter().for_each(|one| assert_eq!(one.join().unwrap().status, 0));
    });
    assert_eq!(house.user(&["list"], "").output.lines().count(), 8);
    assert!(names.iter().all(|name| house.accepts(name, name) && !house.accepts(name, "secret")));
    // Of two who want the same name one gets it.
    let both = std::thread::scope(|scope| {
        let both = ["one", "two"].map(|password| scope.spawn(|| house.add("alice", password)));
        both.map(|one| one.join().unwrap().status)
    });
    assert_eq!(both.iter().sum::<i32>(), 1);
    assert_eq!(house.accepts("alice", "one"), both[0] == 0);
    assert_eq!(house.accepts("alice", "two"), both[1] == 0);
}

#[test]
fn a_password_is_typed_twice_and_nobody_else_sees_it() {
    let house = House::new();
    let directory = house.path("").display().to_string();
    let at = |words: &[&str], again: &str| {
        let words = [&["user", "--directory", &directory], words].concat();
        let lines = [("Password: ", "topsecret"), ("\nReenter password: ", again)];
        let mut looked = 0;
        let mut look = |pid: u32| {
            looked += 1;
            for file in ["cmdline", "environ"] {
                let shown = fs::read(format!("/proc/{pid}/{file}")).unwrap();
                assert!(!shown.is_empty() && !shown.windows(9).any(|part| part == b"topsecret"), "{file}");
            }
        };
        let program = house.programs.path("postrider").display().to_string();
        let (output, shown) = terminal::typed(&program, &words, &lines, &mut look);
        assert!(looked == 2 && !shown.windows(6).any(|part| part == b"secret"));
        output.status.code()
    };
    let add = [&["add", "alice"], &*house.ids()].concat();
    assert_eq!(at(&add, "topsecert"), Some(1));
    assert_eq!(at(&add, "topsecret"), Some(0));
    assert!(house.accepts("alice", "topsecret"));
    assert_eq!(at(&["passwd", "alice"], "topsecert"), Some(1));
    assert_eq!(at(&["passwd", "alice"], "topsecret"), Some(0));
    assert!(house.accepts("alice", "topsecret"));
}
