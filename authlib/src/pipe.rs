//! Another program as a module, authpipe (reference: authlib 13).
//!
//! It is started at the first question, gets each question on its standard
//! input in the language of [`protocol`](crate::protocol), answers on its
//! standard output, and lives on. Whatever it does, dying, talking nonsense,
//! too much, too little or nothing, is *unavailable*, and the next question
//! starts it anew.

use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use zeroize::Zeroizing;

use crate::daemon::read_list;
use crate::module::{Changed, Client, Entry, Module, PasswordChange};
use crate::printable::reason;
use crate::protocol::{answer, request};
use crate::scram::{self, Salt, Wanted};
use crate::{Record, Unavailable, Verdict};

/// How long an answer may take. Shorter than authdaemond waits for a worker, so
/// that it is this program that is ended and not its caller.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a whole list may take.
const LIST_PATIENCE: Duration = Duration::from_secs(300);
/// After its input has ended a program may take so long to end.
const BEFORE_SIGTERM: Duration = Duration::from_secs(2);
/// And so long after SIGTERM.
const BEFORE_SIGKILL: Duration = Duration::from_secs(10);

/// A program that is asked as a module.
#[derive(Debug)]
pub struct Pipe {
    name: String,
    program: PathBuf,
    kind: Kind,
    patience: Duration,
    running: Option<Running>,
}

/// What a program knows beside the language of Courier's authpipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Foreign,
    /// Metadata, and the word for "I cannot tell".
    Ours,
}

/// The program, and both pipes.
#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Pipe {
    /// Anybody's `program`, as the module authpipe.
    #[must_use]
    pub fn foreign(program: PathBuf) -> Self {
        Pipe::new("authpipe", program, Kind::Foreign)
    }

    /// One of our module programs, as the module called `name`. It hears for
    /// which client is asked, too.
    #[must_use]
    pub fn ours(name: &str, program: PathBuf) -> Self {
        Pipe::new(name, program, Kind::Ours)
    }

    fn new(name: &str, program: PathBuf, kind: Kind) -> Self {
        Pipe { name: name.to_owned(), program, kind, patience: PATIENCE, running: None }
    }

    /// The same with another patience for an answer.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The answer to `request`.
    fn ask(&mut self, request: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
        let end = Instant::now() + self.patience;
        self.ready().and_then(|running| running.converse(request, end)).map_err(|error| {
            self.let_go();
            self.failed(&error)
        })
    }

    /// The program, running and silent: one that has said something unasked,
    /// or has ended, is replaced.
    fn ready(&mut self) -> io::Result<&mut Running> {
        if self.running.as_ref().is_some_and(|running| !running.is_silent()) {
            self.let_go();
        }
        match &mut self.running {
            Some(running) => Ok(running),
            none => Ok(none.insert(Running::start(&self.program, self.kind)?)),
        }
    }

    /// Ends the program without waiting for it.
    fn let_go(&mut self) {
        if let Some(running) = self.running.take() {
            // Where no thread can be had, dropping closes the pipes at least.
            let _handle = thread::Builder::new().spawn(move || running.end());
        }
    }

    fn failed(&self, error: &io::Error) -> Unavailable {
        let what = match error.kind() {
            io::ErrorKind::TimedOut => "does not answer in time".to_owned(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                "has ended without an answer".to_owned()
            }
            _ => reason(error),
        };
        Unavailable::new(format!("{}: {what}", self.program.display()))
    }

    fn client<'a>(&self, client: &'a Client, nobody: &'a Client) -> &'a Client {
        match self.kind {
            Kind::Foreign => nobody,
            Kind::Ours => client,
        }
    }

    /// What `octets` say; after an answer that is none the program is not to
    /// be trusted with another question.
    fn verdict(&mut self, octets: Result<Zeroizing<Vec<u8>>, Unavailable>) -> Verdict {
        match octets.map(|octets| (answer::verdict(&octets), octets)) {
            Err(reason) => reason.into(),
            Ok((Verdict::Unavailable(reason), octets)) => {
                if octets.as_slice() != answer::UNAVAILABLE {
                    self.let_go();
                }
                reason.into()
            }
            Ok((verdict, _)) => verdict,
        }
    }
}

impl Module for Pipe {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepare(&mut self) -> Result<(), Unavailable> {
        if self.kind == Kind::Foreign {
            // Courier starts it at the first question too.
            return Ok(());
        }
        self.ready().map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict {
        let request = match self.kind {
            // It was not asked for a salt, so that it cannot have the keys.
            Kind::Foreign if scram::hash_of(record.authtype()).is_some() => return Verdict::Reject,
            Kind::Foreign => request::auth(record, &Client::default()),
            Kind::Ours => request::auth_with_remembered(record, client),
        };
        let octets = self.ask(&request);
        self.verdict(octets)
    }

    fn salt(
        &mut self,
        service: &[u8],
        wanted: &Wanted,
        client: &Client,
    ) -> Result<Option<Salt>, Unavailable> {
        let record = match self.kind {
            Kind::Foreign => return Ok(None),
            Kind::Ours => Record::salt(service, wanted),
        };
        let Ok(record) = record else { return Ok(None) };
        let octets = self.ask(&request::auth(&record, client))?;
        answer::salt(&octets).inspect_err(|_| {
            if octets.as_slice() != answer::UNAVAILABLE {
                self.let_go();
            }
        })
    }

    fn look_up(&mut self, service: &[u8], user: &[u8], client: &Client) -> Verdict {
        let nobody = Client::default();
        match request::look_up(None, service, user, self.client(client, &nobody)) {
            Some(request) => {
                let octets = self.ask(&request);
                self.verdict(octets)
            }
            // Nobody can be called so.
            None => Verdict::Reject,
        }
    }

    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        match self.ask(&request::change_password(change)) {
            Ok(octets) => answer::changed(&octets),
            Err(reason) => reason.into(),
        }
    }

    /// What a program of another project would make of it nobody knows.
    fn renews(&self) -> bool {
        self.kind == Kind::Ours
    }

    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let end = Instant::now() + LIST_PATIENCE;
        let mut is_whole = true;
        let listed = self.ready().and_then(|running| {
            running.write(request::ENUMERATE, end)?;
            let output = Output { stdout: &running.stdout, end };
            Ok(read_list(&mut BufReader::new(output), &mut |entry| {
                is_whole = each(entry);
                is_whole
            }))
        });
        let listed = listed.unwrap_or_else(|error| Err(self.failed(&error)));
        if listed.is_err() || !is_whole {
            self.let_go();
        }
        listed
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Nobody asks any more, so there is time to see it end.
        if let Some(running) = self.running.take() {
            running.end();
        }
    }
}

impl Running {
    fn start(program: &PathBuf, kind: Kind) -> io::Result<Self> {
        let mut command = Command::new(program);
        match kind {
            Kind::Ours => command.env(answer::PIPE, "1"),
            Kind::Foreign => command.env_remove(answer::PIPE),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let running = Running { child, stdin, stdout };
        rustix::io::ioctl_fionbio(&running.stdin, true)?;
        rustix::io::ioctl_fionbio(&running.stdout, true)?;
        Ok(running)
    }

    /// Whether there is nothing to read, not even the end.
    fn is_silent(&self) -> bool {
        matches!(wait_for(&self.stdout, PollFlags::IN, Instant::now()), Err(error) if error.kind() == io::ErrorKind::TimedOut)
    }

    fn converse(&mut self, request: &[u8], end: Instant) -> io::Result<Zeroizing<Vec<u8>>> {
        self.write(request, end)?;
        // All of it at once: a vector that grows would leave passwords behind.
        let mut octets = Zeroizing::new(vec![0; answer::LIMIT]);
        let mut filled = 0;
        let mut output = Output { stdout: &self.stdout, end };
        while !answer::is_complete(&octets[..filled]) {
            if filled == octets.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer has no end"));
            }
            match output.read(&mut octets[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        octets.truncate(filled);
        Ok(octets)
    }

    fn write(&self, mut octets: &[u8], end: Instant) -> io::Result<()> {
        while !octets.is_empty() {
            wait_for(&self.stdin, PollFlags::OUT, end)?;
            match rustix::io::write(&self.stdin, octets) {
                Ok(count) => octets = &octets[count..],
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Closes the pipes and sees the program end; helps if need be.
    fn end(self) {
        let Running { mut child, stdin, stdout } = self;
        drop((stdin, stdout));
        if has_ended(&mut child, BEFORE_SIGTERM) {
            return;
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let _it_has_ended = pid.map(|pid| kill_process(pid, Signal::TERM));
        if !has_ended(&mut child, BEFORE_SIGKILL) {
            let _it_has_ended = child.kill();
            let _it_was_killed = child.wait();
        }
    }
}

fn has_ended(child: &mut Child, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
            Ok(None) => return false,
            Ok(Some(_)) | Err(_) => return true,
        }
    }
}

/// What the program says, until a moment.
struct Output<'a> {
    stdout: &'a ChildStdout,
    end: Instant,
}

impl Read for Output<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            wait_for(self.stdout, PollFlags::IN, self.end)?;
            match rustix::io::read(self.stdout, &mut *buffer) {
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// Waits until `pipe` is ready, or ended.
///
/// # Errors
/// `TimedOut` if it is not before `end`.
pub(crate) fn wait_for(pipe: impl AsFd, flags: PollFlags, end: Instant) -> io::Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pipe, flags)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
