//! authpam as a module: PAM says whether somebody may come in, the passwd data
//! base who that is.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use authlib::helper::{self, Left, Said};
use authlib::passwd::Passwd;
use authlib::printable::{has_control, printable, reason};
use authlib::record::Login;
use authlib::{Account, Client, Entry, Module, Record, Secret, Unavailable, Verdict};

use crate::check;
use crate::words::{Answer, question};

/// How long PAM may take. Shorter than authdaemond waits for us.
const PATIENCE: Duration = Duration::from_secs(15);

/// Most octets of a name and of a password that PAM's conversation carries
/// (PAM_MAX_RESP_SIZE).
const MOST_OCTETS: usize = 511;

/// The machine's users, as PAM lets them in.
pub(crate) struct Pam;

impl Module for Pam {
    fn name(&self) -> &str {
        "authpam"
    }

    fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict {
        let Some(login) = record.credentials() else { return Verdict::Reject };
        let began = Instant::now();
        let verdict = judge(record.service(), &login, client);
        if let Verdict::Reject = verdict {
            helper::hold_back_a_no(began);
        }
        verdict
    }

    /// PAM knows nobody without a password; the passwd data base does. What that
    /// keeps for a password is not the one that PAM compares (ledger 763).
    fn look_up(&mut self, service: &[u8], user: &[u8], client: &Client) -> Verdict {
        match Passwd::authpwd().look_up(service, user, client) {
            Verdict::Accept(account) => Verdict::Accept(Account { stored_password: None, ..account }),
            other => other,
        }
    }

    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        Passwd::authpwd().enumerate(each)
    }
}

fn judge(service: &[u8], login: &Login<'_>, client: &Client) -> Verdict {
    if !can_be_asked(login) {
        return Verdict::Reject;
    }
    match ask(service, login, client) {
        Ok(Some(user)) => account(&user, login, client),
        Ok(None) => Verdict::Reject,
        Err(reason) => reason.into(),
    }
}

/// Whether this can be somebody's name and password.
fn can_be_asked(login: &Login<'_>) -> bool {
    [login.user, login.password]
        .iter()
        .all(|text| !text.is_empty() && text.len() <= MOST_OCTETS && !has_control(text))
}

/// Whom PAM lets in; nobody, if it says no.
fn ask(service: &[u8], login: &Login<'_>, client: &Client) -> Result<Option<Vec<u8>>, Unavailable> {
    if !is_plain_name(service) {
        let shown = printable(service);
        return Err(Unavailable::new(format!("{shown:?} is no name of a PAM service")));
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg(check::WORD).current_dir("/");
    let question = question(service, login, client.ip().unwrap_or_default().as_bytes());
    match helper::ask_alone(command, &question, PATIENCE) {
        Ok(left) => heard(&left),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(Unavailable::new("PAM does not answer in time"))
        }
        Err(error) => Err(Unavailable::new(reason(&error))),
    }
}

/// Only a process that has given one answer and come to its end is believed.
fn heard(left: &Left) -> Result<Option<Vec<u8>>, Unavailable> {
    let Left { status, said } = left;
    let answer = match said {
        Said::One(message) if status.success() => Answer::decode(&message.octets),
        _ => None,
    };
    match answer {
        Some(Answer::Accepted(user)) => Ok(Some(user.to_vec())),
        Some(Answer::Rejected) => Ok(None),
        Some(Answer::Unavailable(reason)) => Err(Unavailable::new(printable(reason))),
        None => Err(Unavailable::new(format!("PAM's modules have ended their process: {status}"))),
    }
}

/// The account of the system user whom PAM has let in.
fn account(user: &[u8], login: &Login<'_>, client: &Client) -> Verdict {
    match Pam.look_up(b"", user, client) {
        Verdict::Accept(account) => {
            let clear_password = Some(Secret::copy_of(login.password));
            Verdict::Accept(Account { clear_password, ..account })
        }
        other => other,
    }
}

/// Whether `service` is the name of a file in `/etc/pam.d`, and no way out of
/// it (ledger 761).
fn is_plain_name(service: &[u8]) -> bool {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.".contains(octet);
    (1..=64).contains(&service.len()) && !service.starts_with(b".") && service.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::{Pam, can_be_asked, heard, is_plain_name};
    use crate::words::Answer;
    use authlib::helper::{self, Left, Message, Said};
    use authlib::record::Login;
    use authlib::{Client, Module, Record, Verdict};
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_service_is_a_file_of_its_directory() {
        for name in ["pop3", "pop3-tls", "org.example.pop3_2"] {
            assert!(is_plain_name(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "../shadow",
            "a/b",
            "/etc/pam.d/pop3",
            "pop3\n",
            "p\u{f6}p",
            &"x".repeat(65),
        ] {
            assert!(!is_plain_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn only_one_whole_answer_of_a_process_that_ended_well_is_believed() {
        let left = |status: i32, said: Said| Left { status: ExitStatusExt::from_raw(status), said };
        let one = |answer: Answer<'_>| {
            Said::One(Message { octets: helper::join(&answer.fields()), uid: 0, gid: 0 })
        };
        let accepted = || one(Answer::Accepted(b"alice"));
        assert_eq!(heard(&left(0, accepted())), Ok(Some(b"alice".to_vec())));
        assert_eq!(heard(&left(0, one(Answer::Rejected))), Ok(None));
        assert!(heard(&left(0, one(Answer::Unavailable(b"down")))).is_err());
        let half =
            Said::One(Message { octets: b"postrider pam 1\0rejected".to_vec().into(), uid: 0, gid: 0 });
        for left in [
            left(1 << 8, accepted()),
            left(9, one(Answer::Rejected)),
            left(0, half),
            left(0, Said::Nothing),
            left(0, Said::TooMuch),
        ] {
            assert!(heard(&left).is_err(), "{left:?}");
        }
    }

    #[test]
    fn what_pam_cannot_carry_is_nobodys() {
        let is_asked = |user: &[u8], password: &[u8]| can_be_asked(&Login { user, password });
        assert!(is_asked(b"alice", b"s\xc3\xa9cret"));
        assert!(!is_asked(b"alice", &[b'x'; 512]) && !is_asked(&[b'x'; 512], b"secret"));
        assert!(!is_asked(b"", b"secret") && !is_asked(b"alice", b"") && !is_asked(b"al\tice", b"secret"));
    }

    #[test]
    fn proofs_are_rejected_and_system_users_are_known_without_a_password() {
        let record = Record::decode(b"pop3\ncram-md5\nYQ==\nYg==\n\n").unwrap();
        assert!(matches!(Pam.authenticate(&record, &Client::default()), Verdict::Reject));
        assert!(matches!(Pam.look_up(b"pop3", b"nobody", &Client::default()), Verdict::Accept(_)));
        assert!(matches!(Pam.look_up(b"pop3", b"no-such-user", &Client::default()), Verdict::Reject));
    }
}
