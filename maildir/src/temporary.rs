//! `tmp/`: files that are written there to be renamed, and those that others
//! left behind.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::Mode;

use crate::beneath;

/// Seconds after which a file in `tmp/` is of no use to anyone (maildir.md 9).
const OLD: i64 = 48 * 60 * 60;

/// Attempts to find a name that nobody has.
const ATTEMPTS: u32 = 16;

/// rw-rw-rw- less group and world write; the umask may take more away.
const READABLE: Mode = Mode::from_raw_mode(0o644);

/// Removes files that have not been modified for more than 48 hours at `now`,
/// in Unix seconds. What cannot be removed stays.
pub(crate) fn clean(tmp: impl AsFd, now: u64) -> io::Result<()> {
    let tmp = tmp.as_fd();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut names = Vec::new();
    beneath::list(tmp, |name, _| {
        if !name.starts_with(b".") {
            names.push(name.to_vec());
        }
    })?;
    for name in names {
        if let Ok(stat) = beneath::stat(tmp, &name)
            && now.saturating_sub(stat.st_mtime) > OLD
        {
            // A directory is not unlinked, here as with Courier.
            let _stays = beneath::unlink(tmp, &name);
        }
    }
    Ok(())
}

/// Makes the file `target` in `root` what `write` writes, all of it or nothing,
/// and durable before it is seen.
///
/// `kind` tells in the temporary name who made it. `still_wanted` is asked last;
/// its error leaves everything as it was. After any other error `target` is what
/// it was, or it is new and perhaps not durable. Gives the file.
pub(crate) fn replace(
    tmp: impl AsFd,
    root: impl AsFd,
    target: &[u8],
    kind: &str,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    still_wanted: impl FnOnce() -> io::Result<()>,
) -> io::Result<File> {
    let (tmp, root) = (tmp.as_fd(), root.as_fd());
    let (name, file) = create(tmp, kind)?;
    let done = fill(&file, write)
        .and_then(|()| still_wanted())
        .and_then(|()| beneath::rename_over(tmp, name.as_bytes(), root, target));
    if done.is_err() {
        let _left_for_the_next_cleaning = beneath::unlink(tmp, name.as_bytes());
    }
    done?;
    beneath::sync_directory(root)?;
    Ok(file)
}

fn fill(file: &File, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_all()
}

/// Makes a file in `tmp/` that nobody else has, mode 0644 less the umask.
fn create(tmp: BorrowedFd<'_>, kind: &str) -> io::Result<(String, File)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..ATTEMPTS {
        let name = unique_name(kind);
        match beneath::new_file(tmp, name.as_bytes(), READABLE) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// `<time>.M<usec>P<pid>Q<count>_<kind>.<host>`: Courier's form (maildir.md 4),
/// with a count for the sessions that share this process.
fn unique_name(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let pid = rustix::process::getpid();
    let uname = rustix::system::uname();
    let host: String = uname
        .nodename()
        .to_string_lossy()
        .chars()
        .take(100)
        .map(|character| if matches!(character, '/' | ':') { '_' } else { character })
        .collect();
    format!("{}.M{}P{pid}Q{count}_{kind}.{host}", now.as_secs(), now.subsec_micros())
}
