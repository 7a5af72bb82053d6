//! One of our module programs with its kept-alive face: questions in the
//! language of authdaemond on its standard input, answers on its output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::wire::{Pipes, Wire};

/// What an answer ends with, behind a line end or alone.
const ENDS: [&[u8]; 4] = [b".\n", b"FAIL\n", b"OK\n", b"UNAVAILABLE\n"];

/// A running program.
#[derive(Debug)]
pub struct PipeProgram {
    pipes: Pipes,
    log: PathBuf,
}

impl PipeProgram {
    /// Starts `program` with its settings in the directory `configuration`,
    /// where its log goes too, and nothing but `environment` around it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path, configuration: &Path, environment: &[(&str, &str)]) -> Outcome<PipeProgram> {
        let log = configuration.join("log");
        let mut command = Command::new(program);
        command.env_clear().env("POSTRIDER_SYSCONFDIR", configuration).env("POSTRIDER_PIPE", "1");
        command.envs(environment.iter().copied());
        command.stderr(fs::OpenOptions::new().append(true).create(true).open(&log)?);
        Ok(PipeProgram { pipes: Pipes::start(&mut command)?, log })
    }

    /// The whole answer to `request`.
    ///
    /// # Errors
    /// There is none, or half of one.
    pub fn ask(&mut self, request: &[u8]) -> Outcome<String> {
        self.pipes.send(request)?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let octets = self.pipes.receive()?;
            if octets.is_empty() {
                let said = String::from_utf8_lossy(&answer).into_owned();
                return Err(format!("the program has ended, having said {said:?}\n{}", self.log()?).into());
            }
            answer.extend(octets);
        }
        Ok(String::from_utf8(answer)?)
    }

    /// The answer to a login of `user` with `password`, for the service pop3.
    ///
    /// # Errors
    /// As [`ask`](PipeProgram::ask).
    pub fn log_in(&mut self, user: &str, password: &str) -> Outcome<String> {
        self.ask(&login(user, password))
    }

    /// Whether that is an answer about `user`: the verdict is *accept*.
    ///
    /// # Errors
    /// As [`ask`](PipeProgram::ask), and if the answer is *unavailable*.
    pub fn lets_in(&mut self, user: &str, password: &str) -> Outcome<bool> {
        match self.log_in(user, password)?.as_str() {
            "FAIL\n" => Ok(false),
            answer if answer.contains("\nHOME=/") => Ok(true),
            answer => Err(format!("{user}: {answer:?}\n{}", self.log()?).into()),
        }
    }

    /// What it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// The most memory that it has had so far, in KiB.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn most_memory(&mut self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pipes.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
        Ok(number.parse()?)
    }
}

/// The octets of such a question.
#[must_use]
pub fn login(user: &str, password: &str) -> Vec<u8> {
    let record = format!("pop3\nlogin\n{user}\n{password}\n");
    format!("AUTH {}\n{record}", record.len()).into_bytes()
}

fn is_whole(answer: &[u8]) -> bool {
    ENDS.iter().any(|end| {
        answer.strip_suffix(*end).is_some_and(|before| before.is_empty() || before.ends_with(b"\n"))
    })
}
