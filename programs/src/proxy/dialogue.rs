//! The login at a back-end: its lines in, ours out.
//!
//! ```text
//!   greeting [STLS, handshake] [XCLIENT] [UTF8]  USER, PASS  or  AUTH, with or without a challenge
//! ```

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pop3::{COMMAND_LIMIT, Line};
use zeroize::Zeroizing;

use super::failure::{Failure, Said, Words};
use super::route::Login;

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Say this line, with its end.
    Say(Zeroizing<Vec<u8>>),
    /// Shake hands, then call [`Dialogue::tls_started`].
    StartTls,
    /// The session has begun.
    LoggedIn,
    /// There will be none.
    Failed(Failure),
}

/// What is to be said beside the credentials.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// STLS, before all else.
    pub(crate) stls: bool,
    /// The XCLIENT command, if there is to be one.
    pub(crate) xclient: Option<String>,
    /// The client has said UTF8.
    pub(crate) utf8: bool,
}

/// What has been said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Connect,
    Stls,
    Xclient,
    Utf8,
    User,
    Pass,
    Auth,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Command::Connect => "the connection",
            Command::Stls => "STLS",
            Command::Xclient => "XCLIENT",
            Command::Utf8 => "UTF8",
            Command::User => "USER",
            Command::Pass => "PASS",
            Command::Auth => "AUTH",
        }
    }
}

/// How a greeting says that XCLIENT is believed.
const XCLIENT: &[u8] = b"[XCLIENT]";

/// A login at a back-end.
#[derive(Debug)]
pub(crate) struct Dialogue {
    last: Command,
    /// What is still to be said.
    lines: VecDeque<(Command, Zeroizing<Vec<u8>>)>,
    /// What is to be said to a challenge.
    response: Option<Zeroizing<Vec<u8>>>,
    /// The greeting names XCLIENT, as Dovecot's does where it believes us. Where
    /// it does not it says `+OK` to the command and goes by none of it.
    offers_xclient: bool,
}

impl Dialogue {
    /// A login as `account`.
    ///
    /// # Errors
    /// A name or password cannot be said.
    pub(crate) fn new(account: &[u8], login: &Login, wishes: Wishes) -> Result<Dialogue, Failure> {
        let (last, lines) = (Command::Connect, VecDeque::new());
        let mut dialogue = Dialogue { last, lines, response: None, offers_xclient: false };
        if wishes.stls {
            dialogue.will_say(Command::Stls, &[b"STLS"])?;
        }
        if let Some(command) = wishes.xclient {
            dialogue.will_say(Command::Xclient, &[command.as_bytes()])?;
        }
        if wishes.utf8 {
            dialogue.will_say(Command::Utf8, &[b"UTF8"])?;
        }
        match login {
            Login::Password(password) => {
                dialogue.will_say(Command::User, &[b"USER ", account])?;
                dialogue.will_say(Command::Pass, &[b"PASS ", password.expose()])?;
            }
            Login::Master(master) => {
                let message = [account, b"\0", &master.user, b"\0", master.password.expose()].concat();
                dialogue.will_authenticate(b"PLAIN", &Zeroizing::new(message))?;
            }
            Login::External => dialogue.will_authenticate(b"EXTERNAL", account)?,
        }
        Ok(dialogue)
    }

    /// With an initial response, if that leaves the line short enough (RFC 5034
    /// section 4).
    fn will_authenticate(&mut self, mechanism: &[u8], message: &[u8]) -> Result<(), Failure> {
        let response = Zeroizing::new(STANDARD.encode(message).into_bytes());
        if b"AUTH \r\n".len() + mechanism.len() + 1 + response.len() <= COMMAND_LIMIT {
            return self.will_say(Command::Auth, &[b"AUTH ", mechanism, b" ", &response]);
        }
        self.response = Some(line(&[&response])?);
        self.will_say(Command::Auth, &[b"AUTH ", mechanism])
    }

    fn will_say(&mut self, command: Command, words: &[&[u8]]) -> Result<(), Failure> {
        self.lines.push_back((command, line(words)?));
        Ok(())
    }

    /// The back-end has said `line`.
    pub(crate) fn heard(&mut self, line: &Line<'_>) -> Next {
        let Line::Text(text) = line else { return self.nonsense() };
        match (self.last, Said::read(text)) {
            // Whoever cannot UTF8 sends nothing that a client that can would not take.
            (Command::Utf8, Said::No | Said::NotNow) => self.go_on(),
            (Command::Stls, Said::Yes) => Next::StartTls,
            (Command::Connect, Said::Yes) => {
                self.offers_xclient = text.windows(XCLIENT.len()).any(|part| part == XCLIENT);
                self.go_on()
            }
            (_, Said::Yes) => self.go_on(),
            (Command::Auth, Said::Challenge) => match self.response.take() {
                Some(response) => Next::Say(response),
                None => Next::Failed(Failure::Refused(self.last.name(), Words::default())),
            },
            (Command::Connect, _) => Next::Failed(Failure::NoGreeting),
            (_, Said::Challenge | Said::Nonsense) => self.nonsense(),
            (Command::User, no) => Next::Failed(Failure::UserRejected(no, Words::of(text))),
            (Command::Pass, no) => Next::Failed(Failure::PasswordRejected(no, Words::of(text))),
            (other, Said::No | Said::NotNow) => Next::Failed(Failure::Refused(other.name(), Words::of(text))),
        }
    }

    /// Whether it was STLS that TLS began by, and not the first octet.
    pub(crate) fn began_tls(&self) -> bool {
        self.last == Command::Stls
    }

    /// TLS is on.
    pub(crate) fn tls_started(&mut self) -> Next {
        self.go_on()
    }

    /// The back-end has ended the connection.
    pub(crate) fn closed(&self) -> Failure {
        match self.last {
            Command::Connect => Failure::NoGreeting,
            other => Failure::Closed(other.name()),
        }
    }

    /// The back-end has been silent for too long.
    pub(crate) fn silent(&self) -> Failure {
        match self.last {
            Command::Connect => Failure::NoGreeting,
            other => Failure::Silent(other.name()),
        }
    }

    fn go_on(&mut self) -> Next {
        match self.lines.pop_front() {
            Some((Command::Xclient, _)) if !self.offers_xclient => {
                Next::Failed(Failure::Refused(Command::Xclient.name(), Words::default()))
            }
            Some((command, line)) => {
                self.last = command;
                Next::Say(line)
            }
            None => Next::LoggedIn,
        }
    }

    fn nonsense(&self) -> Next {
        Next::Failed(match self.last {
            Command::Connect => Failure::NoGreeting,
            other => Failure::Nonsense(other.name()),
        })
    }
}

/// `words` as one line: what would make two of it is refused.
fn line(words: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if words.iter().any(|word| word.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'))) {
        return Err(Failure::Unspeakable);
    }
    let mut line = Zeroizing::new(Vec::with_capacity(words.iter().map(|word| word.len()).sum::<usize>() + 2));
    words.iter().chain(&[&b"\r\n"[..]]).for_each(|word| line.extend_from_slice(word));
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::{Dialogue, Login, Next, Wishes};
    use crate::proxy::Master;
    use crate::proxy::failure::{Failure, Said, Words};
    use authlib::Secret;
    use pop3::Line;

    fn password() -> Login {
        Login::Password(Secret::copy_of(b"secret word"))
    }

    fn master() -> Login {
        Login::Master(Master { user: b"proxy".to_vec(), password: Secret::copy_of(b"x") })
    }

    fn heard(dialogue: &mut Dialogue, line: &str) -> String {
        match dialogue.heard(&Line::Text(line.as_bytes())) {
            Next::Say(line) => String::from_utf8(line.to_vec()).unwrap(),
            Next::StartTls => "(handshake)".to_owned(),
            Next::LoggedIn => "(session)".to_owned(),
            Next::Failed(failure) => format!("({})", failure.line("mx")),
        }
    }

    #[test]
    fn user_and_pass_follow_the_greeting() {
        let mut dialogue = Dialogue::new(b"alice", &password(), Wishes::default()).unwrap();
        assert_eq!(heard(&mut dialogue, "+OK Hello there."), "USER alice\r\n");
        assert_eq!(heard(&mut dialogue, "+OK"), "PASS secret word\r\n");
        assert_eq!(heard(&mut dialogue, "+OK logged in."), "(session)");
    }

    #[test]
    fn nothing_of_the_client_is_said_before_tls() {
        let wishes = Wishes { stls: true, xclient: Some("XCLIENT ADDR=::1 PORT=1".into()), utf8: true };
        let mut dialogue = Dialogue::new(b"alice", &password(), wishes).unwrap();
        assert_eq!(heard(&mut dialogue, "+OK [XCLIENT] ready."), "STLS\r\n");
        assert_eq!(heard(&mut dialogue, "+OK"), "(handshake)");
        assert!(matches!(dialogue.tls_started(), Next::Say(line) if line.starts_with(b"XCLIENT ADDR=::1")));
        assert_eq!(heard(&mut dialogue, "+OK"), "UTF8\r\n");
        assert_eq!(heard(&mut dialogue, "-ERR what?"), "USER alice\r\n");
    }

    #[test]
    fn who_does_not_do_what_is_asked_for_hears_no_password() {
        for (wishes, greeting, answer) in [
            (Wishes { stls: true, ..Wishes::default() }, "+OK", "(STLS rejected by mx: -ERR no)"),
            (
                Wishes { xclient: Some("XCLIENT".into()), ..Wishes::default() },
                "+OK [XCLIENT]",
                "(XCLIENT rejected by mx: -ERR no)",
            ),
        ] {
            let mut dialogue = Dialogue::new(b"alice", &password(), wishes).unwrap();
            heard(&mut dialogue, greeting);
            assert_eq!(heard(&mut dialogue, "-ERR no"), answer);
        }
        let wishes = Wishes { xclient: Some("XCLIENT".into()), ..Wishes::default() };
        let mut dialogue = Dialogue::new(b"alice", &password(), wishes).unwrap();
        assert_eq!(heard(&mut dialogue, "+OK ready."), "(XCLIENT rejected by mx)");
        for greeting in ["-ERR busy", "220 smtp", "+ ", ""] {
            let mut dialogue = Dialogue::new(b"alice", &password(), Wishes::default()).unwrap();
            assert_eq!(heard(&mut dialogue, greeting), "(Did not receive greeting from mx)");
        }
    }

    #[test]
    fn a_master_names_the_account_and_a_long_response_waits_for_the_challenge() {
        let mut dialogue = Dialogue::new(b"alice", &master(), Wishes::default()).unwrap();
        assert_eq!(heard(&mut dialogue, "+OK"), "AUTH PLAIN YWxpY2UAcHJveHkAeA==\r\n");
        assert_eq!(heard(&mut dialogue, "+ "), "(AUTH rejected by mx)");
        let mut dialogue = Dialogue::new(&[b'a'; 200], &master(), Wishes::default()).unwrap();
        assert_eq!(heard(&mut dialogue, "+OK"), "AUTH PLAIN\r\n");
        assert!(heard(&mut dialogue, "+ ").starts_with("YWFh"));
        assert_eq!(heard(&mut dialogue, "+OK"), "(session)");
        let mut dialogue = Dialogue::new(b"alice", &Login::External, Wishes::default()).unwrap();
        assert_eq!(heard(&mut dialogue, "+OK"), "AUTH EXTERNAL YWxpY2U=\r\n");
    }

    #[test]
    fn a_rejected_password_is_told_from_a_server_in_trouble() {
        for (answer, said) in [("-ERR Login failed.", Said::No), ("-ERR [SYS/TEMP] later", Said::NotNow)] {
            let mut dialogue = Dialogue::new(b"alice", &password(), Wishes::default()).unwrap();
            heard(&mut dialogue, "+OK");
            heard(&mut dialogue, "+OK");
            let next = dialogue.heard(&Line::Text(answer.as_bytes()));
            assert_eq!(next, Next::Failed(Failure::PasswordRejected(said, Words::of(answer.as_bytes()))));
        }
    }

    #[test]
    fn no_name_and_no_password_becomes_a_command_of_its_own() {
        let failed = |account: &[u8], login| Dialogue::new(account, &login, Wishes::default()).unwrap_err();
        assert_eq!(failed(b"alice\r\nQUIT", password()), Failure::Unspeakable);
        assert_eq!(failed(b"alice", Login::Password(Secret::copy_of(b"a\nb"))), Failure::Unspeakable);
    }

    #[test]
    fn an_over_long_line_and_a_nul_are_no_replies() {
        for line in [Line::TooLong, Line::Nul] {
            let mut dialogue = Dialogue::new(b"alice", &password(), Wishes::default()).unwrap();
            assert_eq!(dialogue.heard(&line), Next::Failed(Failure::NoGreeting));
            heard(&mut dialogue, "+OK");
            assert_eq!(dialogue.heard(&line), Next::Failed(Failure::Nonsense("USER")));
        }
    }
}
