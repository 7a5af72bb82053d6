//! authcheckpassword, with Debian's checkpw behind it and with a script that
//! does the same.
//!
//! checkpw looks for system users, so its tests have an `/etc/passwd` of their
//! own, for which they need root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use testbed::authdaemond::OurAuthdaemond;
use testbed::cells::Cells;
use testbed::chain::Account;
use testbed::courier::leave_out;
use testbed::machine::{self, Machine};
use testbed::process::command_behind;
use testbed::stand::{Programs, make_public};

const MODULE: &str = env!("CARGO_BIN_EXE_authcheckpassword");
const CHECKPW: &str = "/usr/bin/checkpw";
const SETTING: &str = "POSTRIDER_CHECKPASSWORD";

/// Whether checkpw can be asked here; says so if not.
fn is_here() -> bool {
    let missing = machine::missing().or_else(|| {
        (!Path::new(CHECKPW).exists()).then(|| format!("{CHECKPW} is not there (Debian: checkpw)"))
    });
    let Some(reason) = missing else { return true };
    leave_out(&reason).unwrap();
    false
}

/// A checkpassword program for `alice`, `secret`, who becomes the account's
/// user as far as it may and then runs `then`, in `directory`; the setting that
/// names it.
fn script(account: &Account, then: &str, directory: &Path) -> String {
    let ((uid, gid), home) = (account.owner, account.home.display());
    let becomes =
        if is_root() { format!("setpriv --reuid={uid} --regid={gid} --clear-groups") } else { String::new() };
    let text = format!(
        "tr '\\0' '\\n' <&3 | {{ read -r user; read -r password
         [ \"$user $password\" = 'alice secret' ] || exit 1
         export HOME='{home}' USER=alice SHELL=/bin/sh; cd \"$HOME\" || exit 111
         exec 3<&-; become='{becomes}'; {then}; }}\n"
    );
    let path = directory.join("checkpassword");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    format!("/bin/sh {}", path.display())
}

const RUN_IT: &str = "exec $become \"$@\"";

fn is_root() -> bool {
    system::user::is_root()
}

/// Lets checkpw know alice's password.
fn tell_checkpw(account: &Account) {
    let file = account.maildir().join(".password");
    fs::create_dir_all(account.maildir()).unwrap();
    fs::write(&file, "secret\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    for path in [&account.home, &account.maildir(), &file] {
        chown(path, Some(account.owner.0), Some(account.owner.1)).unwrap();
    }
}

#[test]
fn cells_with_a_script() {
    let cells = Cells::of(Path::new(MODULE)).unwrap();
    let setting = script(cells.account(), RUN_IT, cells.directory());
    cells.with(SETTING, &setting).play().unwrap();
}

#[test]
fn cells_with_checkpw() {
    if !is_here() {
        return;
    }
    let cells = Cells::of(Path::new(MODULE)).unwrap();
    tell_checkpw(cells.account());
    let machine = Machine::new().with_alice(cells.account(), "*:19000::::::", cells.directory()).unwrap();
    cells.behind(&machine.words()).with(SETTING, CHECKPW).play().unwrap();
}

/// The module as a program, in a directory that every user may pass.
struct Installed {
    directory: tempfile::TempDir,
    programs: Programs,
    account: Account,
}

impl Installed {
    fn new() -> Installed {
        let directory = tempfile::tempdir().unwrap();
        make_public(directory.path()).unwrap();
        let built = [MODULE, env!("CARGO_BIN_EXE_authdaemond")];
        let programs = Programs::copy(&built, &directory.path().join("bin")).unwrap();
        let account = Account::new(directory.path().join("alice"));
        make_public(&account.home).unwrap();
        Installed { programs, account, directory }
    }

    /// What a program of a chain finds behind the module, which logs in
    /// `alice`, `secret`.
    fn in_a_chain(&self, behind: &[std::ffi::OsString], setting: &str) -> String {
        let mut command = command_behind(behind, Path::new("/bin/sh"));
        // Standard input becomes descriptor 3. That SIGCHLD is ignored is
        // inherited.
        command
            .args(["-c", "trap '' CHLD; exec \"$@\" 3<&0", "sh"])
            .arg(self.programs.path("authcheckpassword"));
        let shows = "echo \"$(id -u) $(id -G) $AUTHENTICATED $HOME $(pwd -P) $MAILDIR\"";
        command.args(["/bin/sh", "-c", shows]).env(SETTING, setting).env_remove("MAILDIR");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"pop3\nlogin\nalice\nsecret\n\n").unwrap();
        let output = child.wait_with_output().unwrap();
        [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap()).concat()
    }

    fn daemon(&self, setting: &str) -> OurAuthdaemond {
        let mut daemon =
            OurAuthdaemond::new(&self.programs.path("authdaemond"), self.directory.path()).unwrap();
        let rc = format!("authmodulelist=authcheckpassword\ndaemons=2\n{SETTING}=\"{setting}\"\n");
        daemon.start(&rc).unwrap();
        daemon
    }

    fn home(&self) -> PathBuf {
        fs::canonicalize(&self.account.home).unwrap()
    }
}

fn said(daemon: &OurAuthdaemond, request: &[u8]) -> String {
    String::from_utf8(daemon.ask(request).unwrap()).unwrap()
}

const RIGHT: &[u8] = b"TCPREMOTEIP=192.0.2.7\nAUTH 24\npop3\nlogin\nalice\nsecret\n";

#[test]
fn checkpw_says_who_alice_is_and_where() {
    if !is_here() {
        return;
    }
    let installed = Installed::new();
    tell_checkpw(&installed.account);
    let machine = Machine::new();
    let machine =
        machine.with_alice(&installed.account, "*:19000::::::", installed.directory.path()).unwrap();
    let home = installed.home();
    let home = home.display();
    assert_eq!(
        installed.in_a_chain(&machine.words(), CHECKPW),
        format!("64110 64111 64115 alice {home} {home} \n")
    );
    // What stands before checkpw's own words, and a Maildir.
    let other = installed.account.home.join("other");
    fs::rename(installed.account.maildir(), &other).unwrap();
    assert_eq!(
        installed.in_a_chain(&machine.words(), &format!("/usr/bin/env MAILDIR=other {CHECKPW}")),
        format!("64110 64111 64115 alice {home} {home} other\n")
    );
}

#[test]
fn in_a_chain_the_next_program_is_the_accounts() {
    let installed = Installed::new();
    let setting = script(&installed.account, RUN_IT, installed.directory.path());
    let ((uid, gid), home) = (installed.account.owner, installed.home());
    let shown = installed.in_a_chain(&[], &setting);
    let home = home.display();
    assert!(shown.starts_with(&format!("{uid} {gid}")), "{shown}");
    assert!(shown.ends_with(&format!(" alice {home} {home} \n")), "{shown}");
}

#[test]
fn authdaemond_gives_the_account_and_tells_wrong_from_unavailable() {
    let installed = Installed::new();
    let setting = script(&installed.account, RUN_IT, installed.directory.path());
    let daemon = installed.daemon(&setting);
    let ((uid, gid), home) = (installed.account.owner, installed.home());
    // No user of the machine is called alice, so the ids are numbers.
    let account =
        format!("UID={uid}\nGID={gid}\nHOME={}\nADDRESS=alice\nPASSWD2=secret\n.\n", home.display());
    assert_eq!(said(&daemon, RIGHT), account);
    assert_eq!(said(&daemon, b"AUTH 23\npop3\nlogin\nalice\nwrong\n"), "FAIL\n");
    assert_eq!(said(&daemon, b"AUTH 22\npop3\nlogin\nbob\nsecret\n"), "FAIL\n");
    assert_eq!(said(&daemon, b"PRE . pop3 alice\n"), "FAIL\n");
    assert_eq!(said(&daemon, b"ENUMERATE\n"), "# authcheckpassword\n\n.\n");
    assert_eq!(said(&daemon, b"PASSWD pop3\talice\tsecret\tnew\n"), "FAIL\n");
    // Words behind the reporter's own do not make it another program.
    script(&installed.account, "exec $become \"$@\" surplus", installed.directory.path());
    assert_eq!(said(&daemon, RIGHT), account);
    for (then, words) in [
        ("exit 111", "/bin/sh: cannot tell, user=alice"),
        ("exit 0", "did not run the program that it was given, user=alice"),
        (
            "echo hello; exec $become \"$@\"",
            "has written to descriptor 1, and ended with status 0, user=alice",
        ),
        ("exec /no/such/program \"$@\"", "has ended with status 127, user=alice"),
    ] {
        script(&installed.account, then, installed.directory.path());
        assert_eq!(said(&daemon, RIGHT), "", "{then}");
        daemon.await_log(words).unwrap();
    }
    let log = daemon.log().unwrap();
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn the_program_hears_where_the_client_is() {
    let installed = Installed::new();
    let seen = installed.directory.path().join("seen");
    let then = format!("echo \"$TCPREMOTEIP\" > {}; {RUN_IT}", seen.display());
    let daemon = installed.daemon(&script(&installed.account, &then, installed.directory.path()));
    assert!(said(&daemon, RIGHT).starts_with("UID="));
    assert_eq!(fs::read_to_string(seen).unwrap(), "192.0.2.7\n");
}

#[test]
fn who_stays_root_is_nobody_whose_mail_is_read() {
    if !is_root() {
        leave_out("a checkpassword program that stays root takes root").unwrap();
        return;
    }
    let installed = Installed::new();
    let setting = script(&installed.account, "exec \"$@\"", installed.directory.path());
    let daemon = installed.daemon(&setting);
    assert_eq!(said(&daemon, RIGHT), "");
    daemon.await_log("nobody's mail is read with root's ids, user=alice").unwrap();
    let account = &installed.account;
    let half =
        format!("exec setpriv --euid={} --egid={} --clear-groups \"$@\"", account.owner.0, account.owner.1);
    script(account, &half, installed.directory.path());
    assert_eq!(said(&daemon, RIGHT), "");
    daemon.await_log("real and effective ids differ").unwrap();
}

#[test]
fn without_the_setting_authdaemond_says_so_when_it_starts() {
    let installed = Installed::new();
    let daemon = installed.daemon("");
    daemon.await_log("authcheckpassword: POSTRIDER_CHECKPASSWORD names no program").unwrap();
    assert_eq!(said(&daemon, RIGHT), "");
}
