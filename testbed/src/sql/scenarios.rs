//! The scenarios, one function each.

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::house::{HASH, House};
use super::{Server, joint};
use crate::Outcome;
use crate::cells::Cells;
use crate::cram::Answer;
use crate::pipe_program::PipeProgram;

/// The mechanisms that Courier's modules know.
pub(super) const MECHANISMS: [&str; 3] = ["cram-md5", "cram-sha1", "cram-sha256"];

/// A scenario: the program, and the server.
pub(super) type Run<S> = fn(&Path, &S) -> Outcome;

/// All of them, with their names.
pub(super) fn all<S: Server>() -> Vec<(&'static str, Run<S>)> {
    vec![
        ("every_setting_has_its_effect", every_setting::<S>),
        ("a_password_is_right_or_wrong_hashed_or_in_clear", passwords),
        ("a_proof_is_of_the_password_in_clear", proofs),
        ("own_clauses_ask_and_change", own_clauses),
        ("a_name_is_never_read_as_sql", injected_names),
        ("a_new_password_is_never_read_as_sql", injected_passwords),
        ("a_row_that_cannot_be_used_is_unavailable", unusable_rows),
        ("a_password_is_changed_in_both_columns", changes),
        ("ten_thousand_accounts_are_listed_in_little_memory", a_long_list),
        ("what_the_server_refuses_is_unavailable", refusals),
        ("names_that_are_long_or_foreign_are_names", names),
        ("a_session_that_the_server_has_ended_is_opened_anew", ended_sessions),
        ("a_table_that_is_changed_meanwhile_is_asked_as_it_is", a_changed_table),
        ("changed_settings_count_from_the_next_question_on", changed_settings),
        ("the_cells_of_the_table_are_true", cells),
        ("couriers_module_gives_the_same_answers", joint::the_same_answers),
        ("where_couriers_module_differs_the_ledger_says_so", joint::the_differences),
        ("a_server_that_goes_and_comes_is_asked_again", a_restart),
        ("a_server_that_is_silent_is_unavailable_in_the_end", a_silent_server),
    ]
}

pub(super) fn expect(found: &str, expected: &str) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{found:?} is not {expected:?}").into()) }
}

fn expect_log(log: &str, words: &str) -> Outcome {
    if !log.contains(words) {
        return Err(format!("{words:?} is not in the log:\n{log}").into());
    }
    if log.contains("server's secret") {
        return Err(format!("a secret is in the log:\n{log}").into());
    }
    Ok(())
}

fn every_setting<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::new(server)?;
    house.sql(
        "CREATE TABLE users AS SELECT id AS a, crypt AS b, clear AS c, uid AS d, gid AS e, home AS f, \
        maildir AS g, quota AS h, name AS i, options AS j, delivery AS k, enabled AS l FROM passwd",
    )?;
    house.sql(&format!(
        "INSERT INTO users VALUES ('alice@example.com', '{HASH}', NULL, 5000, 5001, '/home/a', 'Mail', \
        '1000S', 'Alice A', 'x=1', 'Delivery', 1), \
        ('bob@example.com', '{HASH}', NULL, 5000, 5001, '/home/b', '', '', '', '', '', 0)"
    ))?;
    let connection = server.connection(&house.database, None);
    house.configure_only(&format!(
        "{connection}PREFIX_USER_TABLE users\nPREFIX_CRYPT_PWFIELD b\nPREFIX_CLEAR_PWFIELD c\n\
        DEFAULT_DOMAIN example.com\nPREFIX_LOGIN_FIELD a\nPREFIX_UID_FIELD d\nPREFIX_GID_FIELD e\n\
        PREFIX_HOME_FIELD f\nPREFIX_MAILDIR_FIELD g\nPREFIX_QUOTA_FIELD h\nPREFIX_NAME_FIELD i\n\
        PREFIX_AUXOPTIONS_FIELD j\nPREFIX_DEFAULTDELIVERY k\nPREFIX_WHERE_CLAUSE l = 1"
    ))?;
    let mut module = house.module(program)?;
    let account = |maildir: &str, more: &str| {
        format!(
            "UID=5000\nGID=5001\nHOME=/home/a\nADDRESS=alice@example.com\nNAME=Alice A\nMAILDIR={maildir}\n\
            QUOTA=1000S\nPASSWD={HASH}\n{more}OPTIONS=x=1\n.\n"
        )
    };
    expect(&module.log_in("alice", "secret")?, &account("Mail", "PASSWD2=secret\n"))?;
    expect(&module.log_in("alice@example.com", "secret")?, &account("Mail", "PASSWD2=secret\n"))?;
    expect(&module.ask(b"PRE . pop3 alice\n")?, &account("Mail", ""))?;
    expect(&module.ask(b"PRE . courier alice\n")?, &account("Delivery", ""))?;
    for user in ["bob", "alice@other.org", "carol"] {
        expect(&module.log_in(user, "secret")?, "FAIL\n")?;
    }
    expect(&module.ask(b"ENUMERATE\n")?, "alice@example.com\t5000\t5001\t/home/a\tMail\tx=1\n.\n")?;
    expect(&module.log()?, "")
}

fn passwords<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    house.add("'carol'", &[("crypt", "NULL"), ("clear", "'secret'")])?;
    house.add("'dora'", &[("crypt", "'*'"), ("clear", "'secret'")])?;
    house.add("'emil'", &[("crypt", "NULL")])?;
    house.add("'both'", &[("clear", "'other'")])?;
    let mut module = house.module(program)?;
    for (user, password, is_right) in [
        ("alice", "secret", true),
        ("alice", "Secret", false),
        ("alice", HASH, false),
        ("carol", "secret", true),
        ("carol", "secret ", false),
        ("dora", "secret", false),
        ("emil", "secret", false),
        ("both", "secret", true),
        ("both", "other", false),
        ("nobody", "secret", false),
    ] {
        if module.lets_in(user, password)? != is_right {
            return Err(format!("{user}, {password}: not {is_right}").into());
        }
    }
    expect(&module.log()?, "")
}

/// The octets of the question whether `user` has proved with `mechanism`, such
/// as `cram-md5`, that the password is `password`.
pub(super) fn proof(mechanism: &str, user: &str, password: &str) -> Outcome<Vec<u8>> {
    let challenge = STANDARD.encode("<1.2@example.com>");
    let answer = Answer::parse(&format!("{mechanism} {user} {password}"))?;
    let answer = String::from_utf8(answer.to(format!("+ {challenge}\r\n").as_bytes())?)?;
    let record = format!("pop3\n{mechanism}\n{challenge}\n{}\n", answer.trim_end());
    Ok(format!("AUTH {}\n{record}", record.len()).into_bytes())
}

fn proofs<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    house.add("'carol'", &[("clear", "'secret'")])?;
    let mut module = house.module(program)?;
    for mechanism in MECHANISMS {
        for (user, password, is_right) in
            [("carol", "secret", true), ("carol", "wrong", false), ("alice", "secret", false)]
        {
            let answer = module.ask(&proof(mechanism, user, password)?)?;
            if answer.contains("ADDRESS=carol\n") != is_right || (answer == "FAIL\n") == is_right {
                return Err(format!("{mechanism}, {user}, {password}: {answer:?}").into());
            }
        }
    }
    Ok(())
}

/// Own clauses in the manner of the sample files.
const OWN: &str = "DEFAULT_DOMAIN example.com\n\
    PREFIX_SELECT_CLAUSE SELECT id, crypt, clear, uid, gid, home, maildir, quota, name, options FROM passwd \\\n\
    \tWHERE id = '$(local_part)@$(domain)' AND (options IS NULL OR options <> '$(service)')\n\
    PREFIX_ENUMERATE_CLAUSE SELECT id, uid, gid, home, maildir, options FROM passwd ORDER BY id DESC\n\
    PREFIX_CHPASS_CLAUSE UPDATE passwd SET clear = '$(newpass)', crypt = '$(newpass_crypt)' \\\n\
    \tWHERE id = '$(local_part)@$(domain)'\n";

fn own_clauses<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::new(server)?;
    house.add("'alice@example.com'", &[])?;
    house.add("'bob@example.com'", &[("options", "'imap'"), ("maildir", "'M'")])?;
    house.configure_only(&format!("{}{OWN}", server.connection(&house.database, None)))?;
    let mut module = house.module(program)?;
    for user in ["alice", "bob", "bob@example.com"] {
        if !module.lets_in(user, "secret")? {
            return Err(format!("{user} is not let in").into());
        }
    }
    expect(&module.ask(b"PRE . imap bob\n")?, "FAIL\n")?;
    expect(&module.log_in("bob@other.org", "secret")?, "FAIL\n")?;
    expect(
        &module.ask(b"ENUMERATE\n")?,
        "bob@example.com\t5000\t5001\t/home/a\tM\timap\nalice@example.com\t5000\t5001\t/home/a\t\t\n.\n",
    )?;
    expect(&module.ask(b"PASSWD pop3\tbob\tsecret\tn'ew\n")?, "OK\n")?;
    if !module.lets_in("bob", "n'ew")?
        || module.lets_in("bob", "secret")?
        || !module.lets_in("alice", "secret")?
    {
        return Err("the password was not changed for bob, and for bob alone".into());
    }
    expect(&house.sql("SELECT clear FROM passwd WHERE id LIKE 'bob%'")?, "n'ew")?;
    expect(&module.log()?, "")
}

/// Names that would open a door if they were read as SQL.
pub(super) const INJECTIONS: [&str; 14] = [
    "x' or '1'='1",
    "x' OR 1=1 -- ",
    "x'; DROP TABLE passwd; --",
    "x\\' OR 1=1 -- ",
    "' UNION SELECT 'alice', '', 'p', 5000, 5000, '/', '', '', '', ''; -- ",
    "\\",
    "'",
    "''",
    "\"",
    "%",
    "_lice",
    "$1",
    "?",
    "$(local_part)",
];

fn injected_names<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    house.add("'alice@example.com'", &[])?;
    for own in [false, true] {
        if own {
            house.configure_only(&format!("{}{OWN}", server.connection(&house.database, None)))?;
        }
        let mut module = house.module(program)?;
        for name in INJECTIONS {
            for name in [name.to_owned(), format!("{name}@example.com"), format!("alice@{name}")] {
                expect(&module.log_in(&name, "secret")?, "FAIL\n")
                    .map_err(|fault| format!("{name}: {fault}"))?;
                expect(&module.ask(format!("PRE . pop3 {name}\n").as_bytes())?, "FAIL\n")?;
                expect(&module.ask(format!("PASSWD pop3\t{name}\tsecret\tx\n").as_bytes())?, "FAIL\n")?;
            }
        }
        expect(&module.log()?, "")?;
    }
    expect(&house.sql("SELECT COUNT(*) FROM passwd WHERE clear IS NULL")?, "2")
}

fn injected_passwords<S: Server>(program: &Path, server: &S) -> Outcome {
    for own in [false, true] {
        let house = House::new(server)?;
        house.add("'alice@example.com'", &[])?;
        house.add("'bob@example.com'", &[])?;
        if own {
            house.configure_only(&format!("{}{OWN}", server.connection(&house.database, None)))?;
        }
        let mut module = house.module(program)?;
        let mut old = "secret";
        for new in [
            "x', crypt = '', id = 'mallory",
            "\\', clear = '",
            "'; DROP TABLE passwd; -- ",
            "$(domain)",
            "n\u{e9}w?",
        ] {
            let change = format!("PASSWD pop3\talice@example.com\t{old}\t{new}\n");
            expect(&module.ask(change.as_bytes())?, "OK\n")?;
            if !module.lets_in("alice@example.com", new)? || module.lets_in("alice@example.com", old)? {
                return Err(format!("{new:?} is not the new password").into());
            }
            expect(
                &house.sql("SELECT clear FROM passwd WHERE id LIKE 'alice%'")?.replace("\\\\", "\\"),
                new,
            )?;
            old = new;
        }
        let untouched =
            "SELECT COUNT(*) FROM passwd WHERE id LIKE 'bob%' AND clear IS NULL AND crypt LIKE '{SHA}5%'";
        expect(&house.sql(untouched)?, "1")?;
    }
    Ok(())
}

fn unusable_rows<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    for (name, columns) in [
        ("uid0", [("uid", "0")]),
        ("gid0", [("gid", "0")]),
        ("nouid", [("uid", "NULL")]),
        ("minus", [("uid", "-1")]),
        ("nohome", [("home", "NULL")]),
        ("emptyhome", [("home", "''")]),
        ("twice", [("home", "'/one'")]),
    ] {
        house.add(&format!("'{name}'"), &columns)?;
    }
    house.add("'twice'", &[("home", "'/two'")])?;
    let mut module = house.module(program)?;
    for name in ["uid0", "gid0", "nouid", "minus", "twice"] {
        expect(&module.log_in(name, "secret")?, "UNAVAILABLE\n")
            .map_err(|fault| format!("{name}: {fault}"))?;
    }
    for name in ["uid0", "gid0", "nouid", "minus", "nohome", "emptyhome"] {
        expect(&module.log_in(name, "wrong")?, "FAIL\n").map_err(|fault| format!("{name}: {fault}"))?;
    }
    expect(&module.log_in("nohome", "secret")?, "FAIL\n")?;
    expect_log(&module.log()?, "more than one row of this name, user=twice\n")?;
    expect_log(&module.log()?, "uid 0, gid 5001: nobody's mail is read with root's ids, user=uid0\n")?;
    // As text: anything can stand there.
    house.sql(
        "CREATE TABLE texts AS SELECT id, crypt, clear, '5000' AS uid, ' 500' AS gid, home FROM passwd",
    )?;
    house.configure("")?;
    let connection = server.connection(&house.database, None);
    house.configure_only(&format!("{connection}PREFIX_USER_TABLE texts\nPREFIX_CRYPT_PWFIELD crypt"))?;
    expect(&module.log_in("alice", "secret")?, "UNAVAILABLE\n")?;
    house.sql("UPDATE texts SET gid = '5001'")?;
    if !module.lets_in("alice", "secret")? {
        return Err("ids as text are no ids".into());
    }
    expect(
        &module.ask(b"ENUMERATE\n")?.lines().filter(|line| line.starts_with("alice\t")).count().to_string(),
        "1",
    )
}

fn changes<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    house.add("'bob'", &[])?;
    house.add("'off'", &[("enabled", "0")])?;
    house.add("'uid0'", &[("uid", "0")])?;
    let mut module = house.module(program)?;
    expect(&module.ask(b"PASSWD pop3\talice\twrong\tnew\n")?, "FAIL\n")?;
    expect(&module.ask(b"PASSWD pop3\tnobody\tsecret\tnew\n")?, "FAIL\n")?;
    expect(&module.ask(b"PASSWD pop3\talice\tsecret\tnew\n")?, "OK\n")?;
    let row = house.sql("SELECT crypt, clear FROM passwd WHERE id = 'alice'")?;
    if !row.starts_with("{CRYPT}$y$") || !row.ends_with("new") {
        return Err(format!("{row:?} is not the new row").into());
    }
    // The same values once more are a change too.
    expect(&module.ask(b"PASSWD pop3\talice\tnew\tnew\n")?, "OK\n")?;
    if !module.lets_in("alice", "new")?
        || module.lets_in("alice", "secret")?
        || !module.lets_in("bob", "secret")?
    {
        return Err("the password was not changed for alice, and for alice alone".into());
    }
    house.configure("PREFIX_WHERE_CLAUSE enabled IS NULL\n")?;
    expect(&module.ask(b"PASSWD pop3\toff\tsecret\tnew\n")?, "FAIL\n")?;
    // What may be read may not be written.
    house.configure("PREFIX_CHPASS_CLAUSE UPDATE nothing SET x = '$(newpass)'\n")?;
    expect(&module.ask(b"PASSWD pop3\tbob\tsecret\tnew\n")?, "FAIL\n")?;
    if !module.lets_in("bob", "secret")? {
        return Err("bob's password was changed".into());
    }
    // Every row, where one is meant.
    house.configure("PREFIX_CHPASS_CLAUSE UPDATE passwd SET clear = '$(newpass)'\n")?;
    expect(&module.ask(b"PASSWD pop3\tbob\tsecret\tnew\n")?, "FAIL\n")?;
    expect(&house.sql("SELECT COUNT(*) FROM passwd WHERE clear = 'new'")?, "1")?;
    expect_log(&module.log()?, "4 rows would have been changed instead of one, user=bob\n")
}

fn a_long_list<S: Server>(program: &Path, server: &S) -> Outcome {
    const ROWS: usize = 10_000;
    let house = House::of_alice(server)?;
    let options = format!("x={}", "y".repeat(2000));
    let rows: Vec<String> =
        (0..ROWS).map(|row| format!("('user{row}', '{HASH}', 5000, 5001, '/home/a', '{options}')")).collect();
    for some in rows.chunks(1000) {
        house.sql(&format!(
            "INSERT INTO passwd (id, crypt, uid, gid, home, options) VALUES {}",
            some.join(",")
        ))?;
    }
    house.configure("PREFIX_AUXOPTIONS_FIELD options\n")?;
    let mut module = house.module(program)?;
    if !module.lets_in("alice", "secret")? {
        return Err("alice is not let in".into());
    }
    let before = module.most_memory()?;
    let list = module.ask(b"ENUMERATE\n")?;
    let grown = module.most_memory()? - before;
    expect(&list.lines().count().to_string(), &(ROWS + 2).to_string())?;
    expect(&list.lines().filter(|line| line.ends_with(&options)).count().to_string(), &ROWS.to_string())?;
    // The list has 20 MB.
    if grown > 4096 {
        return Err(format!("{grown} KiB more than before").into());
    }
    if !module.lets_in("user9999", "secret")? {
        return Err("no login behind the list".into());
    }
    expect(&module.log()?, "")
}

fn refusals<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    let connection = server.connection(&house.database, None);
    let fields = "PREFIX_USER_TABLE passwd\nPREFIX_CRYPT_PWFIELD crypt\n";
    for (settings, reason) in [
        (format!("{connection}PREFIX_USER_TABLE nothing\nPREFIX_CRYPT_PWFIELD crypt\n"), "nothing"),
        (format!("{connection}PREFIX_USER_TABLE passwd\nPREFIX_CRYPT_PWFIELD missing\n"), "missing"),
        (format!("{connection}{fields}PREFIX_WHERE_CLAUSE )\n"), "syntax"),
        (
            format!(
                "{}{fields}",
                connection.replace("server's", "stranger's").replace("server\\'s", "stranger\\'s")
            ),
            "mail",
        ),
        (format!("{}{fields}", server.connection("nowhere", None)), "nowhere"),
    ] {
        house.configure_only(&settings)?;
        let mut module = house.module(program)?;
        for _ in 0..2 {
            expect(&module.log_in("alice", "secret")?, "UNAVAILABLE\n")
                .map_err(|fault| format!("{reason}: {fault}"))?;
        }
        expect(&module.ask(b"PRE . pop3 alice\n")?, "UNAVAILABLE\n")?;
        expect(&module.ask(b"PASSWD pop3\talice\tsecret\tnew\n")?, "FAIL\n")?;
        expect_log(&module.log()?, reason)?;
        expect_log(&module.log()?, ", user=alice\n")?;
    }
    Ok(())
}

fn names<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    let long = "l".repeat(200);
    house.add("'\u{e9}mile@ex\u{e4}mple.org'", &[("home", "'/home/\u{e9}'")])?;
    house.add(&format!("'{long}'"), &[])?;
    let mut module = house.module(program)?;
    let answer = module.log_in("\u{e9}mile@ex\u{e4}mple.org", "secret")?;
    if !answer.contains("\nHOME=/home/\u{e9}\nADDRESS=\u{e9}mile@ex\u{e4}mple.org\n") {
        return Err(format!("{answer:?}\n{}", module.log()?).into());
    }
    if !module.lets_in(&long, "secret")? {
        return Err("a long name is not let in".into());
    }
    for name in ["l".repeat(201), "l".repeat(4000), "\u{1f4ec}".repeat(100)] {
        expect(&module.log_in(&name, "secret")?, "FAIL\n")
            .map_err(|fault| format!("{name}: {fault}\n{:?}", module.log()))?;
    }
    let record = b"pop3\nlogin\nal\xffce\nsecret\n";
    expect(&module.ask(&[format!("AUTH {}\n", record.len()).as_bytes(), record].concat())?, "FAIL\n")?;
    expect(&module.log()?, "")
}

/// The table of docs/authentication.md, as far as this module is concerned.
fn cells<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::new(server)?;
    let cells = Cells::of(program)?;
    let (uid, gid) = cells.account().owner;
    let home = format!("'{}'", cells.account().home.display());
    let ids = [uid, gid].map(|id| id.to_string());
    house.add("'alice'", &[("clear", "'secret'"), ("uid", &ids[0]), ("gid", &ids[1]), ("home", &home)])?;
    fs::copy(house.directory().join(S::RC), cells.configuration().join(S::RC))?;
    cells.play()
}

fn ended_sessions<S: Server>(program: &Path, server: &S) -> Outcome {
    let server = &one_more(server)?;
    let house = House::of_alice(server)?;
    let mut module = house.module(program)?;
    for round in 0..3 {
        if !module.lets_in("alice", "secret")? {
            return Err(format!("round {round}").into());
        }
        house.sql(S::END_SESSIONS)?;
        expect(&module.ask(b"PASSWD pop3\talice\tsecret\tsecret\n")?, "OK\n")?;
        house.sql(S::END_SESSIONS)?;
        expect(&module.ask(b"ENUMERATE\n")?, "alice\t5000\t5001\t/home/a\t\t\n.\n")?;
        house.sql(S::END_SESSIONS)?;
    }
    expect(&module.log()?, "")
}

fn a_changed_table<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    let mut module = house.module(program)?;
    for change in [
        "SELECT 1",
        "ALTER TABLE passwd ADD COLUMN more int",
        "ALTER TABLE passwd DROP COLUMN uid",
        "ALTER TABLE passwd ADD COLUMN uid varchar(20) DEFAULT '5000'",
        "ALTER TABLE passwd DROP COLUMN home",
    ] {
        house.sql(change)?;
        let answer = module.log_in("alice", "secret")?;
        let is_there = !change.contains("DROP COLUMN");
        expect(&answer.contains("UID=5000\n").to_string(), &is_there.to_string())
            .and_then(|()| expect(&(answer == "UNAVAILABLE\n").to_string(), &(!is_there).to_string()))
            .map_err(|fault| format!("{change}: {fault}: {answer:?}"))?;
    }
    Ok(())
}

fn changed_settings<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    let mut module = house.module(program)?;
    if !module.lets_in("alice", "secret")? {
        return Err("alice is not let in".into());
    }
    house.configure("PREFIX_WHERE_CLAUSE 1=0\n")?;
    expect(&module.log_in("alice", "secret")?, "FAIL\n")?;
    house.configure("PREFIX_WHERE_CLAUSE 'x\n")?;
    expect(&module.log_in("alice", "secret")?, "FAIL\n")?;
    expect_log(&module.log()?, "the settings stay as they were")?;
    house.configure("")?;
    if !module.lets_in("alice", "secret")? {
        return Err("alice is not let in again".into());
    }
    Ok(())
}

fn a_restart<S: Server>(program: &Path, server: &S) -> Outcome {
    let mut server = one_more(server)?;
    let configuration = tempfile::tempdir()?;
    let house = House::of_alice(&server)?;
    fs::copy(house.directory().join(S::RC), configuration.path().join(S::RC))?;
    drop(house);
    server.stop();
    let mut module = PipeProgram::start(program, configuration.path(), &[])?;
    expect(&module.log_in("alice", "secret")?, "UNAVAILABLE\n")?;
    for round in 0..2 {
        server.start_again()?;
        if !module.lets_in("alice", "secret")? {
            return Err(format!("round {round}").into());
        }
        server.stop();
        expect(&module.log_in("alice", "secret")?, "UNAVAILABLE\n")?;
        expect(&module.ask(b"PASSWD pop3\talice\tsecret\tnew\n")?, "FAIL\n")?;
    }
    // Gone and back before anybody notices.
    server.start_again()?;
    if !module.lets_in("alice", "secret")? {
        return Err("alice is not let in".into());
    }
    server.stop();
    server.start_again()?;
    if !module.lets_in("alice", "secret")? {
        return Err("alice is not let in behind a restart".into());
    }
    expect_log(&module.log()?, "Connection refused")
}

fn a_silent_server<S: Server>(program: &Path, server: &S) -> Outcome {
    let house = House::of_alice(server)?;
    // On the server's own address: nobody else takes a port there.
    let connection = server.connection(&house.database, None);
    let address = connection.split(['=', ' ', '\n']).find_map(|word| word.parse::<IpAddr>().ok());
    let silent = TcpListener::bind((address.ok_or("the settings name no address")?, 0))?;
    let port = silent.local_addr()?.port();
    let connection = server.connection(&house.database, Some(port));
    house.configure_only(&format!("{connection}PREFIX_USER_TABLE passwd\nPREFIX_CRYPT_PWFIELD crypt\n"))?;
    let mut module = house.module(program)?;
    expect(&module.log_in("alice", "secret")?, "UNAVAILABLE\n")?;
    expect_log(&module.log()?, "in time")?;
    drop(silent);
    expect(&module.log_in("alice", "secret")?, "UNAVAILABLE\n")?;
    house.configure("")?;
    if !module.lets_in("alice", "secret")? {
        return Err("alice is not let in".into());
    }
    Ok(())
}

/// A server that nobody else uses.
fn one_more<S: Server>(_: &S) -> Outcome<S> {
    S::start()
}
