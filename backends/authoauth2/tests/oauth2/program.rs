//! authoauth2 as authdaemond keeps it: questions on its standard input.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use authlib::bearer::{Bearer, Scheme};
use authlib::protocol::{answer, request};
use authlib::{Client, Record, Verdict};
use tempfile::TempDir;
use testbed::Outcome;
use testbed::process::{Running, daemon};

/// The running program, and its settings.
pub(crate) struct Program {
    running: Running,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
    directory: TempDir,
}

/// What it said to a question, in short.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The account of this name, in this home.
    Accept(String, String),
    Reject,
    Unavailable,
}

impl Program {
    /// With `settings` in its authoauth2rc.
    pub(crate) fn start(settings: &str) -> Outcome<Program> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("authoauth2rc"), settings)?;
        let mut command = daemon(env!("CARGO_BIN_EXE_authoauth2"));
        command.env("POSTRIDER_SYSCONFDIR", directory.path()).env(answer::PIPE, "1");
        let command: &mut Command =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(command)?;
        let child = running.child();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let stderr = child.stderr.take().ok_or("no pipe")?;
        Ok(Program { running, stdin, stdout, stderr, directory })
    }

    /// Its configuration directory.
    pub(crate) fn configuration(&self) -> &Path {
        self.directory.path()
    }

    /// What it says to somebody called `user` who shows `token`.
    pub(crate) fn show(&mut self, user: &str, token: &str) -> Outcome<Said> {
        let bearer = Bearer::new(Scheme::Oauthbearer, user.as_bytes(), token.as_bytes());
        let record = Record::token(b"pop3", &bearer.ok_or("no token at all")?)?;
        self.authenticate(&record)
    }

    /// What it says to whoever made `record`.
    pub(crate) fn authenticate(&mut self, record: &Record) -> Outcome<Said> {
        self.ask(&request::auth(record, &Client::default()))
    }

    /// What it says to the question who `user` is.
    pub(crate) fn look_up(&mut self, user: &str) -> Outcome<Said> {
        let question = request::look_up(None, b"pop3", user.as_bytes(), &Client::default());
        self.ask(&question.ok_or("nobody is called so")?)
    }

    fn ask(&mut self, question: &[u8]) -> Outcome<Said> {
        self.stdin.as_mut().ok_or("it has ended")?.write_all(question)?;
        let mut octets = Vec::new();
        while !answer::is_complete(&octets) {
            if self.stdout.read_until(b'\n', &mut octets)? == 0 {
                return Err(format!("half an answer: {octets:?}\n{}", self.log()?).into());
            }
        }
        Ok(match answer::verdict(&octets) {
            Verdict::Accept(account) => {
                assert!(account.stored_password.is_none() && account.clear_password.is_none());
                Said::Accept(String::from_utf8(account.address)?, account.home.display().to_string())
            }
            Verdict::Reject => Said::Reject,
            Verdict::Unavailable(_) => Said::Unavailable,
        })
    }

    /// Ends it; what it has logged.
    pub(crate) fn log(&mut self) -> Outcome<String> {
        self.stdin = None;
        let mut log = String::new();
        self.stderr.read_to_string(&mut log)?;
        let status = self.running.child().wait()?;
        if status.success() { Ok(log) } else { Err(format!("{status}\n{log}").into()) }
    }
}
