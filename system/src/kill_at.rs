//! Crash tests: ends a program just before its n-th system call, as a power
//! cut or `kill -9` might.
//!
//! ```no_run
//! # use std::process::Command;
//! # use system::kill_at::{self, Ending};
//! for nth in 1.. {
//!     let run = kill_at::run_until(Command::new("cp"), b"", nth, kill_at::changes)?;
//!     // … look at what is on the disk now …
//!     if matches!(run.ending, Ending::Finished(_)) {
//!         break;
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Built with the feature `testing` only.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// What came of a program.
#[derive(Debug)]
pub struct Run {
    /// Whether it was killed.
    pub ending: Ending,
    /// What it had written to standard output by then.
    pub stdout: Vec<u8>,
    /// How many system calls were counted, with the one it did not get to make.
    pub calls: u64,
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Killed when it was about to make a call of this number (`SYS_…`).
    Killed {
        /// The number, as the kernel of this machine counts them.
        call: u64,
    },
    /// By itself, with fewer calls.
    Finished(ExitStatus),
}

/// Runs `command` with `stdin` as its standard input and kills it with SIGKILL
/// just before the `nth` of the system calls that `counted` says yes to; the
/// call itself does not happen. Counting starts after exec; for a later start
/// `counted` may remember what it has seen ([`from`]).
///
/// Standard input and output are files in memory, so the program sees all of
/// its input at once and never waits. Other processes that it starts are not
/// followed. The calling thread is its parent and tracer until it has ended.
///
/// # Errors
/// What starting, tracing or waiting report; the program is gone then too.
pub fn run_until(
    mut command: Command,
    stdin: &[u8],
    nth: u64,
    counted: impl FnMut(u64) -> bool,
) -> io::Result<Run> {
    let mut input = memory_file()?;
    input.write_all(stdin)?;
    input.rewind()?;
    let mut output = memory_file()?;
    command.stdin(input).stdout(output.try_clone()?);
    // SAFETY: the closure makes one system call and nothing else; it takes no
    // lock and allocates nothing.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| Ok(ptrace::traceme()?));
    }
    let child = Traced(Pid::from_raw(i32::try_from(command.spawn()?.id()).map_err(io::Error::other)?));
    let (ending, calls) = child.follow(nth, counted)?;
    output.rewind()?;
    let mut stdout = Vec::new();
    output.read_to_end(&mut stdout)?;
    Ok(Run { ending, stdout, calls })
}

/// Counts every call.
#[must_use]
pub fn every(_call: u64) -> bool {
    true
}

/// Counts every call from the first one of number `marker` on.
pub fn from(marker: libc::c_long) -> impl FnMut(u64) -> bool {
    let mut seen = false;
    move |call| {
        seen |= is(call, marker);
        seen
    }
}

/// Counts calls that may change something outside the program: files, their
/// names and metadata, locks, what is written to others.
#[must_use]
pub fn changes(call: u64) -> bool {
    CHANGES.iter().chain(OLD_CHANGES).any(|&changing| is(call, changing))
}

fn is(call: u64, number: libc::c_long) -> bool {
    u64::try_from(number) == Ok(call)
}

/// Calls that every Linux has.
const CHANGES: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_copy_file_range,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_msync,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_close,
    libc::SYS_exit_group,
];

/// Calls that newer machines have in one form only, above.
#[cfg(target_arch = "x86_64")]
const OLD_CHANGES: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(target_arch = "aarch64")]
const OLD_CHANGES: &[libc::c_long] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLD_CHANGES: &[libc::c_long] = &[];

fn memory_file() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("standard", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

/// A child that we trace. Whatever happens to us, it does not stay behind.
struct Traced(Pid);

impl Traced {
    /// Lets the child run from call to call until it ends or is to be ended.
    fn follow(self, nth: u64, mut counted: impl FnMut(u64) -> bool) -> io::Result<(Ending, u64)> {
        // It stops for us right after exec.
        if ended(self.wait()?).is_some() {
            self.gone(());
            return Err(io::Error::other("the program could not be traced"));
        }
        let options =
            Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.0, options)?;
        let mut calls = 0;
        let mut signal = None;
        loop {
            ptrace::syscall(self.0, signal.take())?;
            match self.wait()? {
                WaitStatus::PtraceSyscall(_) => {
                    let Some(call) = about_to_make(self.0)?.filter(|&call| counted(call)) else { continue };
                    calls += 1;
                    if calls == nth {
                        self.kill()?;
                        return Ok((self.gone(Ending::Killed { call }), calls));
                    }
                }
                WaitStatus::Stopped(_, received) => signal = Some(received),
                status => {
                    if let Some(status) = ended(status) {
                        return Ok((self.gone(Ending::Finished(status)), calls));
                    }
                }
            }
        }
    }

    fn wait(&self) -> io::Result<WaitStatus> {
        loop {
            match waitpid(self.0, None) {
                Err(Errno::EINTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// The kernel skips the call at whose door the child stands: it looks for
    /// a deadly signal before it makes the call.
    fn kill(&self) -> io::Result<()> {
        kill(self.0, Signal::SIGKILL)?;
        while ended(self.wait()?).is_none() {}
        Ok(())
    }

    /// The child has ended and was waited for, so nothing is left to clean up.
    fn gone<T>(self, ending: T) -> T {
        std::mem::forget(self);
        ending
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The number of the call that a stopped child is about to make; `None` if it
/// has just made one.
fn about_to_make(child: Pid) -> io::Result<Option<u64>> {
    let stop = ptrace::syscall_info(child)?;
    if stop.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: `op` says which member of the union the kernel has filled in.
    #[allow(unsafe_code)]
    Ok(Some(unsafe { stop.u.entry.nr }))
}

/// The exit status, if `status` is that of an ended process.
fn ended(status: WaitStatus) -> Option<ExitStatus> {
    match status {
        WaitStatus::Exited(_, code) => Some(ExitStatus::from_raw(code << 8)),
        WaitStatus::Signaled(_, signal, _) => Some(ExitStatus::from_raw(signal as i32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use nix::libc;

    use super::{Ending, changes, every, from, is, run_until};

    fn command(program: &str, words: &[&dyn AsRef<std::ffi::OsStr>]) -> Command {
        let mut command = Command::new(program);
        command.args(words.iter().map(|word| word.as_ref()));
        command
    }

    #[test]
    fn the_call_before_which_a_program_is_killed_does_not_happen() {
        let place = tempfile::tempdir().unwrap();
        let made = place.path().join("made");
        // 83 is the older call, which x86_64 has beside the newer one.
        let makes = |call| is(call, libc::SYS_mkdirat) || cfg!(target_arch = "x86_64") && call == 83;

        let run = run_until(command("mkdir", &[&made]), b"", 1, makes).unwrap();
        assert!(matches!(run.ending, Ending::Killed { call } if makes(call)), "{run:?}");
        assert!(!made.exists());

        let run = run_until(command("mkdir", &[&made]), b"", 2, makes).unwrap();
        assert!(matches!(run.ending, Ending::Finished(status) if status.success()), "{run:?}");
        assert_eq!(run.calls, 1);
        assert!(made.exists());
    }

    #[test]
    fn a_copy_killed_at_each_call_grows_to_the_whole() {
        let place = tempfile::tempdir().unwrap();
        let (original, copy) = (place.path().join("original"), place.path().join("copy"));
        std::fs::write(&original, vec![b'x'; 30_000]).unwrap();
        let mut lengths = Vec::new();
        for nth in 1..10_000 {
            let _ = std::fs::remove_file(&copy);
            let words = [format!("if={}", original.display()), format!("of={}", copy.display())];
            let dd = command("dd", &[&words[0], &words[1], &"bs=10000", &"status=none"]);
            let run = run_until(dd, b"", nth, changes).unwrap();
            let length = std::fs::metadata(&copy).ok().map(|data| data.len());
            if let Ending::Finished(status) = run.ending {
                assert!(status.success());
                assert_eq!(run.calls, nth - 1);
                assert_eq!(length, Some(30_000));
                assert_eq!(lengths.first(), Some(&None), "at the first call there is no copy yet");
                assert!(lengths.is_sorted(), "more calls, more copy: {lengths:?}");
                lengths.dedup();
                assert_eq!(lengths, [None, Some(0), Some(10_000), Some(20_000), Some(30_000)]);
                return;
            }
            assert_eq!(run.calls, nth);
            lengths.push(length);
        }
        panic!("the copy does not end");
    }

    #[test]
    fn input_and_output_are_handed_over() {
        let run = run_until(command("cat", &[]), b"hello", u64::MAX, every).unwrap();
        assert!(matches!(run.ending, Ending::Finished(status) if status.success()));
        assert_eq!(run.stdout, b"hello");
    }

    #[test]
    fn what_was_written_before_the_end_is_handed_over_too() {
        let shell = command("sh", &[&"-c", &"echo one; echo two"]);
        let run = run_until(shell, b"", 2, |call| is(call, libc::SYS_write)).unwrap();
        assert!(matches!(run.ending, Ending::Killed { .. }), "{run:?}");
        assert_eq!(run.stdout, b"one\n");
    }

    #[test]
    fn counting_can_start_at_a_marker() {
        let shell = || command("sh", &[&"-c", &"echo hello"]);
        let all = run_until(shell(), b"", u64::MAX, every).unwrap();
        let late = run_until(shell(), b"", u64::MAX, from(libc::SYS_write)).unwrap();
        assert!((1..all.calls).contains(&late.calls), "{} of {}", late.calls, all.calls);
    }

    #[test]
    fn signals_still_reach_the_program_and_its_status_is_told() {
        let shell = command("sh", &[&"-c", &"trap 'exit 7' USR1; kill -USR1 $$; exit 0"]);
        let run = run_until(shell, b"", u64::MAX, every).unwrap();
        assert!(matches!(run.ending, Ending::Finished(status) if status.code() == Some(7)), "{run:?}");

        let run = run_until(command("sh", &[&"-c", &"kill -TERM $$"]), b"", u64::MAX, every).unwrap();
        assert!(matches!(run.ending, Ending::Finished(status) if status.signal() == Some(15)), "{run:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(run_until(command("/no/such/program", &[]), b"", 1, every).is_err());
    }
}
