//! Courier's module and ours on the same server with the same settings.

use std::fs;
use std::path::Path;

use super::Server;
use super::house::House;
use super::scenarios::{INJECTIONS, MECHANISMS, expect, proof};
use crate::Outcome;
use crate::courier::{self, Authdaemond};
use crate::pipe_program::{self, PipeProgram};

/// Both.
#[derive(Debug)]
pub struct Joint {
    theirs: Authdaemond,
    ours: PipeProgram,
    module: &'static str,
    _directory: tempfile::TempDir,
}

impl Joint {
    /// With the settings of `house`; `program` is ours.
    ///
    /// # Errors
    /// One of them cannot be started.
    pub fn new<S: Server>(program: &Path, house: &House<'_, S>) -> Outcome<Joint> {
        let directory = tempfile::tempdir()?;
        let settings = fs::read_to_string(house.directory().join(S::RC))?;
        let module = S::RC.trim_end_matches("rc");
        let theirs = Authdaemond::start_with(directory.path(), module, &[(S::RC, &settings)])?;
        Ok(Joint { theirs, ours: house.module(program)?, module, _directory: directory })
    }

    /// What theirs and ours say to the same question; nothing is what is said
    /// of what cannot be told.
    ///
    /// # Errors
    /// One of them says nothing and does not close.
    pub fn ask(&mut self, request: &[u8]) -> Outcome<[String; 2]> {
        let theirs = self.theirs.ask(request)?;
        let heading = format!("# {}\n\n", self.module);
        // An empty name is told (ledger 707).
        let theirs = String::from_utf8(theirs)?.replace(&heading, "").replace("NAME=\n", "");
        Ok([theirs, self.ours.ask(request)?.replace("UNAVAILABLE\n", "")])
    }

    /// Both say the same.
    ///
    /// # Errors
    /// They do not.
    pub fn agree(&mut self, request: &[u8]) -> Outcome {
        let [theirs, ours] = self.ask(request)?;
        if theirs == ours {
            return Ok(());
        }
        let (request, log) = (String::from_utf8_lossy(request), self.ours.log()?);
        Err(format!("{request:?}\ntheirs {theirs:?}\nours   {ours:?}\n{log}").into())
    }

    /// To a login of `user`, and to the question whose account it is, theirs
    /// says what holds the one pair, and ours the other; that is the ledger's
    /// `number`.
    ///
    /// # Errors
    /// It is otherwise.
    pub fn differ(&mut self, user: &str, theirs: [&str; 2], ours: [&str; 2], number: u16) -> Outcome {
        let requests = [pipe_program::login(user, "secret"), format!("PRE . pop3 {user}\n").into_bytes()];
        for ((request, theirs), ours) in requests.iter().zip(theirs).zip(ours) {
            let said = self.ask(request)?;
            if !said[0].contains(theirs) || said[0].is_empty() != theirs.is_empty() || said[1] != ours {
                return Err(format!("{user}, ledger {number}: {said:?}\n{}", self.ours.log()?).into());
            }
        }
        Ok(())
    }
}

pub(super) fn the_same_answers<S: Server>(program: &Path, server: &S) -> Outcome {
    if let Some(reason) = courier::missing_authdaemond() {
        return courier::leave_out(&reason);
    }
    let house = House::of_alice(server)?;
    for (name, columns) in [
        (
            "full@example.com",
            [
                ("maildir", "'M'"),
                ("quota", "'1000S'"),
                ("name", "'Full Name'"),
                ("options", "'a=1,b'"),
                ("clear", "'secret'"),
            ]
            .as_slice(),
        ),
        ("clear", &[("crypt", "''"), ("clear", "'secret'")]),
        ("locked", &[("crypt", "'*'")]),
        ("nothing", &[("crypt", "''")]),
        ("null", &[("crypt", "NULL")]),
        ("\u{e9}", &[("gid", "7")]),
        ("quo''te", &[("gid", "8")]),
    ] {
        house.add(&format!("'{name}'"), columns)?;
    }
    house.configure(
        "PREFIX_MAILDIR_FIELD maildir\nPREFIX_QUOTA_FIELD quota\nPREFIX_NAME_FIELD name\n\
        PREFIX_AUXOPTIONS_FIELD options\nPREFIX_WHERE_CLAUSE home <> '/nowhere'\n",
    )?;
    let mut joint = Joint::new(program, &house)?;
    for (user, password) in [
        ("alice", "secret"),
        ("alice", "wrong"),
        ("nobody", "secret"),
        ("full@example.com", "secret"),
        ("clear", "secret"),
        ("clear", "wrong"),
        ("locked", "secret"),
        ("nothing", "secret"),
        ("null", "secret"),
        ("\u{e9}", "secret"),
        ("quo'te", "secret"),
        ("ALICE", "secret"),
        ("alice ", "secret"),
    ] {
        joint.agree(&pipe_program::login(user, password))?;
        joint.agree(format!("PRE . pop3 {user}\n").as_bytes())?;
    }
    for name in INJECTIONS {
        joint.agree(&pipe_program::login(name, "secret"))?;
    }
    for mechanism in MECHANISMS {
        for user in ["full@example.com", "clear", "alice", "nobody"] {
            joint.agree(&proof(mechanism, user, "secret")?)?;
            joint.agree(&proof(mechanism, user, "wrong")?)?;
        }
    }
    joint.agree(b"ENUMERATE\n")?;
    joint.agree(b"PASSWD pop3\talice\twrong\tnew\n")?;
    for [old, new, who] in [["secret", "new", "theirs"], ["new", "newer", "ours"]] {
        let change = format!("PASSWD pop3\talice\t{old}\t{new}\n");
        let said = match who {
            "ours" => joint.ours.ask(change.as_bytes())?,
            _ => String::from_utf8(joint.theirs.ask(change.as_bytes())?)?,
        };
        expect(&said, "OK\n")?;
        for password in [old, new] {
            joint.agree(&pipe_program::login("alice", password))?;
        }
        expect(&joint.ours.lets_in("alice", new)?.to_string(), "true")?;
    }
    Ok(())
}

pub(super) fn the_differences<S: Server>(program: &Path, server: &S) -> Outcome {
    if let Some(reason) = courier::missing_authdaemond() {
        return courier::leave_out(&reason);
    }
    let house = House::of_alice(server)?;
    for (name, columns) in [
        ("twice", [("home", "'/one'")]),
        ("twice", [("home", "'/two'")]),
        ("nohome", [("home", "''")]),
        ("zero", [("uid", "0")]),
    ] {
        house.add(&format!("'{name}'"), &columns)?;
    }
    let (zero, no_home) = (S::COURIER_ON_UID_0, S::COURIER_ON_NO_HOME);
    let mut joint = Joint::new(program, &house)?;
    joint.differ("twice", ["HOME=/one\n", "HOME=/one\n"], ["", ""], 720)?;
    joint.differ("zero", zero, ["", ""], 400)?;
    joint.differ("nohome", no_home, ["FAIL\n", "FAIL\n"], 704)?;
    // Nobody is there; there is no such column.
    let fields = "PREFIX_USER_TABLE passwd\nPREFIX_CRYPT_PWFIELD crypt\n";
    for lines in [
        format!("{}{fields}", server.connection(&house.database, Some(1))),
        format!("{}{fields}PREFIX_WHERE_CLAUSE nothing = 1\n", server.connection(&house.database, None)),
    ] {
        house.configure_only(&lines)?;
        Joint::new(program, &house)?.differ("alice", ["FAIL\n", ""], ["", ""], 721)?;
    }
    Ok(())
}
