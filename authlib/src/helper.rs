//! A program that is started for one question, and ends: for what may hang,
//! crash, become somebody else or leave something behind.
//!
//! ```text
//! we ── question, to its end ──> descriptor 3 ┐
//!    <── at most one message ─── descriptor 1 ┴ the program, in a process group of its own
//! ```
//!
//! Descriptor 1 is a socket that keeps messages whole and on which the kernel
//! says whose each one is: ids are never taken from what a program writes.
//! When the program has ended, or its time has, its process group is killed.

use std::fs;
use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, SocketFlags,
    SocketType, recvmsg, send, socketpair,
};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, set_parent_process_death_signal, waitpid,
};
use zeroize::Zeroizing;

use crate::pipe::wait_for;

/// Where the question is.
const QUESTION: i32 = 3;
/// Where the answer goes.
const ANSWER: i32 = 1;
/// Most octets of a message.
const LIMIT: usize = 16 * 1024;
/// A no comes a whole number of steps after the question.
const STEP: Duration = Duration::from_millis(250);
/// How long a killed program may take to be gone.
const AFTER_SIGKILL: Duration = Duration::from_secs(2);

/// What a program that has ended leaves.
#[derive(Debug)]
pub struct Left {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub said: Said,
}

/// What a program said on descriptor 1 before it ended.
#[derive(Debug)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// One message.
    One(Message),
    /// More than one message, or one that is too long.
    TooMuch,
}

/// A message, and whose the kernel says it is.
pub struct Message {
    /// What was written.
    pub octets: Zeroizing<Vec<u8>>,
    /// The real uid of the process that wrote it.
    pub uid: u32,
    /// Its real gid.
    pub gid: u32,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Message of uid {}, gid {}", self.uid, self.gid)
    }
}

/// Starts `command`, lets it read `question`, and waits until it has ended.
///
/// # Errors
/// It cannot be started, or (`TimedOut`) has not ended within `patience`; then
/// it is killed.
pub fn ask(mut command: Command, question: &[u8], patience: Duration) -> io::Result<Left> {
    let end = Instant::now() + patience;
    system::process::keep_children()?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_socket_passcred(&ours, true)?;
    system::descriptor::pass(&mut command, system::pipe::holding(question)?, QUESTION)?;
    command.stdin(Stdio::null()).stdout(theirs).process_group(0);
    let program = Program::start(&mut command)?;
    drop(command);
    let status = program.end_before(end)?;
    Ok(Left { status, said: receive(&ours)? })
}

/// As [`ask`], and ends what has left the program's process group too (by
/// setsid(2), as pam_exec's programs do). For a process that starts nothing
/// else meanwhile: whatever becomes its child is taken for such an orphan.
///
/// # Errors
/// As [`ask`].
pub fn ask_alone(command: Command, question: &[u8], patience: Duration) -> io::Result<Left> {
    let before = children();
    set_child_subreaper(Some(getpid()))?;
    let left = ask(command, question, patience);
    let end = Instant::now() + AFTER_SIGKILL;
    while Instant::now() < end {
        let orphans: Vec<Pid> = children().into_iter().filter(|child| !before.contains(child)).collect();
        if orphans.is_empty() {
            break;
        }
        for orphan in orphans {
            let _already_gone = kill_process(orphan, Signal::KILL);
            let _not_yet = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
        thread::sleep(Duration::from_millis(1));
    }
    set_child_subreaper(None)?;
    left
}

/// The children of this process, which has one thread.
fn children() -> Vec<Pid> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}

/// A program that runs, with all that it starts in its process group.
struct Program {
    child: Child,
    group: Pid,
    /// Readable when it has ended.
    ended: OwnedFd,
}

impl Program {
    fn start(command: &mut Command) -> io::Result<Program> {
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        match pidfd_open(group, PidfdFlags::empty()) {
            Ok(ended) => Ok(Program { child, group, ended }),
            Err(error) => {
                kill(group);
                child.wait()?;
                Err(error.into())
            }
        }
    }

    fn end_before(mut self, end: Instant) -> io::Result<ExitStatus> {
        wait_for(&self.ended, PollFlags::IN, end)?;
        // It has not been waited for yet, so its number is still its group's.
        kill(self.group);
        self.child.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill(self.group);
            // One that has become somebody whom we may not kill is left alone.
            let _left_alone = wait_for(&self.ended, PollFlags::IN, Instant::now() + AFTER_SIGKILL);
            let _gone = self.child.try_wait();
        }
    }
}

fn kill(group: Pid) {
    let _already_gone = kill_process_group(group, Signal::KILL);
}

/// What waits in the socket, now that nobody writes any more.
fn receive(socket: impl AsFd) -> io::Result<Said> {
    let Some(first) = message(&socket)? else { return Ok(Said::Nothing) };
    Ok(match (first, message(&socket)?) {
        (Whole::Yes(message), None) => Said::One(message),
        _ => Said::TooMuch,
    })
}

/// Whether a message is whole.
enum Whole {
    Yes(Message),
    No,
}

/// The next message; `None` if there is none.
fn message(socket: impl AsFd) -> io::Result<Option<Whole>> {
    let mut octets = Zeroizing::new(vec![0; LIMIT]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = match recvmsg(socket, &mut [IoSliceMut::new(&mut octets)], &mut control, flags) {
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        received => received?,
    };
    let sender = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => Some(sender),
        _ => None,
    });
    if received.bytes == 0 {
        return Ok(None);
    }
    octets.truncate(received.bytes);
    let is_whole = !received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Ok(Some(match sender {
        Some(sender) if is_whole => {
            Whole::Yes(Message { octets, uid: sender.uid.as_raw(), gid: sender.gid.as_raw() })
        }
        _ => Whole::No,
    }))
}

/// Waits before a no that was found to a question of the moment `began`: other
/// people's code knows sooner that there is no such user than that a password is
/// wrong, and neither may be told from the other (ledger 765).
pub fn hold_back_a_no(began: Instant) {
    thread::sleep(until_next_step(began.elapsed()));
}

fn until_next_step(elapsed: Duration) -> Duration {
    let over = elapsed.as_nanos() % STEP.as_nanos();
    STEP.saturating_sub(Duration::from_nanos(u64::try_from(over).unwrap_or_default()))
}

/// The question that this program was started for, if it is a helper, which
/// from now on ends with whoever asked.
///
/// # Errors
/// It was not started by [`ask`], or the question has more than `limit` octets.
pub fn question(limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let pipe = system::descriptor::inherited(QUESTION).ok_or(io::ErrorKind::NotFound)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // One octet more than is allowed, to see that there are too many; and all
    // of it at once: a vector that grows would leave passwords behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(limit + 1));
    fs::File::from(pipe).take(limit as u64 + 1).read_to_end(&mut octets)?;
    if octets.len() > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(octets)
}

/// Where a helper's answer goes, out of the reach of whatever writes to
/// standard output.
#[derive(Debug)]
pub struct Answer(OwnedFd);

impl Answer {
    /// Takes it from descriptor 1, which leads nowhere afterwards.
    ///
    /// # Errors
    /// What the kernel reports.
    pub fn take() -> io::Result<Answer> {
        let socket = system::descriptor::duplicate(ANSWER).ok_or(io::ErrorKind::NotFound)?;
        let nowhere = fs::File::options().write(true).open("/dev/null")?;
        system::descriptor::place(nowhere.into(), ANSWER)?;
        Ok(Answer(socket))
    }

    /// Gives `fields` as the answer.
    ///
    /// # Errors
    /// What the kernel reports; `NotConnected` or `BrokenPipe` if nobody waits
    /// for it.
    pub fn give(self, fields: &[&[u8]]) -> io::Result<()> {
        send(&self.0, &join(fields), SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// `fields`, none of which holds a NUL, with a NUL behind each.
#[must_use]
pub fn join(fields: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = fields.iter().map(|field| field.len() + 1).sum();
    let mut octets = Zeroizing::new(Vec::with_capacity(length));
    for field in fields {
        octets.extend_from_slice(field);
        octets.push(0);
    }
    octets
}

/// The fields that [`join`] has joined, if there are `N` of them.
#[must_use]
pub fn split<const N: usize>(octets: &[u8]) -> Option<[&[u8]; N]> {
    let fields: Vec<&[u8]> = octets.strip_suffix(b"\0")?.split(|&octet| octet == 0).collect();
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{Left, Said, ask, join, split, until_next_step};
    use std::io;
    use std::process::Command;
    use std::time::Duration;

    fn run(script: &str, patience: Duration) -> io::Result<Left> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        ask(command, b"question", patience)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn one_message_is_heard_with_the_ids_of_who_wrote_it() {
        let left = run("printf \"answer to $(cat <&3)\"; exit 7", LONG).unwrap();
        assert_eq!(left.status.code(), Some(7));
        let Said::One(message) = left.said else { panic!("{:?}", left.said) };
        assert_eq!(*message.octets, b"answer to question");
        let own = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        assert_eq!((message.uid, message.gid), own);
        assert!(!format!("{message:?}").contains("answer"));
    }

    #[test]
    fn silence_and_too_much_are_told_apart() {
        assert!(matches!(run("exit 0", LONG).unwrap().said, Said::Nothing));
        assert!(matches!(run("echo one; echo two", LONG).unwrap().said, Said::TooMuch));
        let too_long = "head -c 20000 /dev/zero | dd bs=20000 iflag=fullblock 2>/dev/null";
        assert!(matches!(run(too_long, LONG).unwrap().said, Said::TooMuch));
    }

    #[test]
    fn whatever_does_not_end_in_time_is_killed_with_all_it_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let patience = Duration::from_millis(300);
        for script in ["sleep 600 & echo $! > PID; wait", "sleep 600 & echo $! > PID; while :; do :; done"] {
            let script = script.replace("PID", pid.to_str().unwrap());
            let error = run(&script, patience).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            is_killed(&pid);
        }
        // One that writes until nobody has room for more.
        assert_eq!(run("exec yes", patience).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_a_program_leaves_running_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; exit 0", pid.display());
        assert!(run(&script, LONG).unwrap().status.success());
        is_killed(&pid);
    }

    /// Waits until the process whose number is in the file `pid` runs no more.
    fn is_killed(pid: &std::path::Path) {
        let pid = std::fs::read_to_string(pid).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        for _ in 0..6000 {
            // Dead and not yet waited for by who has inherited it is dead.
            match std::fs::read_to_string(&stat) {
                Ok(text) if !text.contains(") Z ") => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        panic!("{pid} still runs");
    }

    #[test]
    fn a_no_waits_for_the_next_step() {
        for (elapsed, wait) in [(0, 250), (1, 249), (249, 1), (250, 250), (260, 240), (2100, 150)] {
            let waits = until_next_step(Duration::from_millis(elapsed));
            assert_eq!(waits, Duration::from_millis(wait), "{elapsed}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = ask(Command::new("/no/such/program"), b"", LONG).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn fields_come_apart_as_they_were_joined() {
        assert_eq!(split(&join(&[b"a", b"", b"b"])), Some([b"a".as_slice(), b"", b"b"]));
        for (octets, _why) in
            [(b"a\0b".as_slice(), "no end"), (b"a\0", "one field"), (b"a\0b\0c\0", "three"), (b"", "none")]
        {
            assert_eq!(split::<2>(octets), None, "{octets:?}");
        }
    }
}
