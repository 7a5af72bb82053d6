//! authcheckpassword: a bridge to programs with the checkpassword interface
//! (<https://cr.yp.to/checkpwd/interface.html>).
//!
//! ```text
//! user NUL password NUL time NUL ──> descriptor 3 of   /bin/checkpassword … REPORTER
//!                                      right: sets ids, directory, HOME, USER, and becomes
//!                                        REPORTER, which says on descriptor 1 where it is
//!                                      wrong: exit status 1
//! ```
//!
//! Descriptor 1 is the one that every such program hands on: behind
//! qmail-popup it is the client. Ledger 770.

mod report;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::account::{Account, Ids, path};
use crate::helper::{self, Left, Message, Said, join};
use crate::module::{Client, Module};
use crate::printable::{printable, reason};
use crate::record::{Login, Record};
use crate::{Secret, Unavailable, Verdict};

use report::Report;
pub use report::give as report;

/// The word for [`report`], behind the reporter's path.
pub const REPORT: &str = "-report";

/// Most octets on descriptor 3, as the interface has it.
const LIMIT: usize = 512;
/// How long the program may take. Shorter than those wait who ask us.
const PATIENCE: Duration = Duration::from_secs(15);

/// What an account's environment is made of: nothing of ours may be taken for
/// it.
const OF_AN_ACCOUNT: [&str; 5] = ["HOME", "LOGNAME", "MAILDIR", "SHELL", "USER"];

/// A program with the checkpassword interface.
#[derive(Debug)]
pub struct Checkpassword {
    words: Vec<OsString>,
    reporter: PathBuf,
    patience: Duration,
}

impl Checkpassword {
    /// The program that `setting` names, an absolute path, with the words
    /// behind it; blanks part them, and nothing is quoted. `reporter` is a
    /// program that calls [`report`] when its only word is [`REPORT`]; every
    /// account's user must be able to run it.
    #[must_use]
    pub fn new(setting: &OsStr, reporter: PathBuf) -> Self {
        let words = setting.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let words = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
        Checkpassword { words, reporter, patience: PATIENCE }
    }

    /// The same with another patience for the program.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The program and its words.
    fn program(&self) -> Result<(&Path, &[OsString]), Unavailable> {
        match self.words.split_first() {
            Some((program, words)) if Path::new(program).is_absolute() => Ok((Path::new(program), words)),
            Some((program, _)) => {
                let shown = printable(program.as_bytes());
                Err(Unavailable::new(format!("POSTRIDER_CHECKPASSWORD: {shown} is not an absolute path")))
            }
            None => Err(Unavailable::new("POSTRIDER_CHECKPASSWORD names no program")),
        }
    }

    fn ask(&self, login: Login<'_>, client: &Client) -> Result<Verdict, Unavailable> {
        let (program, words) = self.program()?;
        // Nobody's name and password can be as long as that.
        let Some(question) = question(login) else { return Ok(Verdict::Reject) };
        let mut command = Command::new(program);
        command.args(words).arg(&self.reporter).arg(REPORT).current_dir("/");
        for name in OF_AN_ACCOUNT {
            command.env_remove(name);
        }
        match client.ip() {
            Some(ip) => command.env("TCPREMOTEIP", ip),
            None => command.env_remove("TCPREMOTEIP"),
        };
        let shown = printable(program.as_os_str().as_bytes());
        let failed = |what: &str| Unavailable::new(format!("{shown}: {what}"));
        match helper::ask(command, &question, self.patience) {
            Ok(left) => verdict(left, login).map_err(|what| failed(&what)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(failed("does not end in time")),
            Err(error) => Err(failed(&reason(&error))),
        }
    }
}

impl Module for Checkpassword {
    fn name(&self) -> &str {
        "authcheckpassword"
    }

    fn prepare(&mut self) -> Result<(), Unavailable> {
        self.program().map(|_| ())
    }

    fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict {
        let Some(login) = record.credentials() else { return Verdict::Reject };
        let began = Instant::now();
        let verdict = self.ask(login, client).unwrap_or_else(Verdict::from);
        if let Verdict::Reject = verdict {
            helper::hold_back_a_no(began);
        }
        verdict
    }

    /// Nobody is known without a password.
    fn look_up(&mut self, _: &[u8], _: &[u8], _: &Client) -> Verdict {
        Verdict::Reject
    }
}

/// What is to be read on descriptor 3, if the interface has room for it. An
/// empty password is none (ledger 615).
fn question(login: Login<'_>) -> Option<Zeroizing<Vec<u8>>> {
    if login.user.is_empty() || login.password.is_empty() {
        return None;
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let question = join(&[login.user, login.password, time.as_secs().to_string().as_bytes()]);
    (question.len() <= LIMIT).then_some(question)
}

/// What the program means, or else what is wrong with it.
fn verdict(left: Left, login: Login<'_>) -> Result<Verdict, String> {
    match (left.status.code(), left.said) {
        (Some(0), Said::One(message)) => account(&message, login).map(Verdict::Accept),
        (Some(1), Said::Nothing) => Ok(Verdict::Reject),
        (Some(0), Said::Nothing) => Err("did not run the program that it was given".to_owned()),
        (Some(2), Said::Nothing) => Err("says that it is misused".to_owned()),
        (Some(111), Said::Nothing) => Err("cannot tell".to_owned()),
        (_, Said::Nothing) => Err(format!("has ended with {}", shown(left.status))),
        (_, Said::One(_) | Said::TooMuch) => {
            Err(format!("has written to descriptor 1, and ended with {}", shown(left.status)))
        }
    }
}

fn shown(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// Whose login it is, by what the program has made of its process.
fn account(message: &Message, login: Login<'_>) -> Result<Account, String> {
    let report = Report::decode(&message.octets).ok_or("has written something else to descriptor 1")?;
    let described = || {
        let home =
            path("home", report.home)?.ok_or_else(|| Unavailable::new("the account's home is empty"))?;
        let account = Account::new(login.user.to_vec(), ids(message, report.user)?, home);
        Ok(Account {
            maildir: path("Maildir", report.maildir)?,
            clear_password: Some(Secret::copy_of(login.password)),
            ..account
        })
    };
    described().map_err(|reason: Unavailable| reason.to_string())
}

/// The ids are the kernel's word. USER brings the groups of a system user who
/// has them.
fn ids(message: &Message, user: &[u8]) -> Result<Ids, Unavailable> {
    let numeric = Ids::numeric(message.uid, message.gid)?;
    let of_user = std::str::from_utf8(user).ok().and_then(|user| Ids::of_user(user).ok());
    let has_them = |ids: &Ids| (ids.uid(), ids.gid()) == (numeric.uid(), numeric.gid());
    Ok(of_user.filter(has_them).unwrap_or(numeric))
}

#[cfg(test)]
mod tests {
    use super::{Checkpassword, ids, question};
    use crate::helper::Message;
    use crate::record::Login;
    use crate::{Client, Module, Record, Verdict};
    use std::ffi::OsStr;
    use std::time::Duration;

    fn ask(setting: &str) -> Verdict {
        let mut module = Checkpassword::new(OsStr::new(setting), "/bin/true".into());
        module.authenticate(&Record::login(b"pop3", b"alice", b"secret").unwrap(), &Client::default())
    }

    #[test]
    fn without_a_program_nothing_can_be_told() {
        for setting in ["", " \t", "checkpassword", "/no/such/program"] {
            assert!(matches!(ask(setting), Verdict::Unavailable(_)), "{setting:?}");
        }
        assert!(Checkpassword::new(OsStr::new(""), "/bin/true".into()).prepare().is_err());
    }

    #[test]
    fn words_are_parted_by_blanks_and_no_shell_sees_them() {
        assert!(matches!(ask("/bin/sh  -c\texit${IFS}1 ;"), Verdict::Reject));
        assert!(matches!(ask("/bin/false ; exit 0 $(reboot)"), Verdict::Reject));
    }

    #[test]
    fn what_does_not_fit_into_512_octets_is_nobodys() {
        let fits = |length| question(Login { user: b"alice", password: &vec![b'x'; length] }).is_some();
        assert!(fits(490) && !fits(505) && !fits(0));
        let question = question(Login { user: b"alice", password: b"secret" }).unwrap();
        assert!(question.starts_with(b"alice\0secret\0") && question.ends_with(b"\0"));
    }

    #[test]
    fn proofs_and_look_ups_are_rejected() {
        let mut module = Checkpassword::new(OsStr::new("/bin/sh"), "/bin/true".into());
        let record = Record::decode(b"pop3\ncram-md5\nYQ==\nYg==\n\n").unwrap();
        assert!(matches!(module.authenticate(&record, &Client::default()), Verdict::Reject));
        assert!(matches!(module.look_up(b"pop3", b"alice", &Client::default()), Verdict::Reject));
    }

    #[test]
    fn a_user_counts_only_if_the_ids_are_his() {
        let message = |uid, gid| Message { octets: Vec::new().into(), uid, gid };
        let nobody = crate::Ids::of_user("nobody").unwrap();
        let (uid, gid) = (nobody.uid(), nobody.gid());
        assert_eq!(ids(&message(uid, gid), b"nobody").unwrap().user(), Some("nobody"));
        for (other, user) in [((uid, 7), b"nobody".as_slice()), ((7, 7), b"nobody"), ((uid, gid), b"\xff")] {
            let found = ids(&message(other.0, other.1), user).unwrap();
            assert_eq!((found.uid(), found.gid(), found.user()), (other.0, other.1, None));
        }
        assert!(ids(&message(0, 5), b"nobody").is_err() && ids(&message(5, 0), b"").is_err());
    }

    /// What is made of a program that is the shell script `script`.
    fn of_script(script: &str, patience: Duration) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        std::fs::write(&path, script).unwrap();
        let setting = format!("/bin/sh {}", path.display());
        let mut module = Checkpassword::new(OsStr::new(&setting), "/bin/true".into()).with_patience(patience);
        module.authenticate(&Record::login(b"pop3", b"alice", b"secret").unwrap(), &Client::default())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_neither_yes_nor_no_is_unavailable() {
        let report = "printf 'postrider checkpassword 1\\0alice\\0/\\0\\0'";
        let cases = [
            ("exit 2", "says that it is misused"),
            ("exit 111", "cannot tell"),
            ("exit 99", "has ended with status 99"),
            ("kill -9 $$", "has ended with signal 9"),
            // The program that it should have run says nothing here.
            ("exec \"$@\"", "did not run the program that it was given"),
            ("echo Welcome!; exec \"$@\"", "has written something else to descriptor 1"),
            ("echo Wrong!; exit 1", "has written to descriptor 1, and ended with status 1"),
            ("printf 'postrider checkpassword 1\\0alice\\0/'", "has written something else to descriptor 1"),
            (&format!("{report}; exit 1"), "has written to descriptor 1, and ended with status 1"),
            (&format!("{report}; {report}"), "has written to descriptor 1, and ended with status 0"),
        ];
        for (script, said) in cases {
            let Verdict::Unavailable(reason) = of_script(script, LONG) else { panic!("{script}") };
            assert_eq!(reason.to_string(), format!("/bin/sh: {said}"), "{script}");
        }
        let Verdict::Unavailable(reason) = of_script("sleep 600", Duration::from_millis(300)) else {
            panic!()
        };
        assert_eq!(reason.to_string(), "/bin/sh: does not end in time");
        assert!(matches!(of_script("exit 1", LONG), Verdict::Reject));
    }

    #[test]
    fn the_ids_of_who_reports_count_and_not_what_he_says() {
        let script = "printf 'postrider checkpassword 1\\0bob\\0/home/bob\\0Mail\\0'";
        let own = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        match of_script(script, LONG) {
            Verdict::Accept(account) => {
                assert_eq!((account.ids.uid(), account.ids.gid(), account.ids.user()), (own.0, own.1, None));
                assert_eq!(
                    (account.address.as_slice(), account.home.as_path()),
                    (b"alice".as_slice(), "/home/bob".as_ref())
                );
                assert_eq!(account.maildir.as_deref(), Some("Mail".as_ref()));
            }
            Verdict::Unavailable(reason) if own.0 == 0 => {
                assert!(reason.to_string().ends_with("nobody's mail is read with root's ids"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_reads_the_credentials_and_an_environment_without_our_own_account() {
        let script = "tr '\\0' '|' <&3 | { read -r asked; case \"$asked\" in 'alice|secret|'[0-9]*'|') ;; *) exit 3; esac
            [ -z \"$HOME$USER$MAILDIR$SHELL\" ] || exit 4
            case \"$(tr '\\0' ' ' </proc/$$/cmdline) $(env)\" in *secret*) exit 5; esac
            exit 1; }";
        let verdict = of_script(script, LONG);
        assert!(matches!(verdict, Verdict::Reject), "{verdict:?}");
    }
}
