//! A process that has copies of itself do the work, which are children of its
//! own parent: who has started it waits for them as for programs it has
//! started itself.

use std::ffi::OsStr;
use std::io;

use nix::libc;

/// That this process has one thread, and will have no more as long as this is
/// there.
#[derive(Debug)]
pub struct OneThread(());

/// Which of the two processes we are.
#[derive(Debug)]
pub enum Fork {
    /// The one that was there before, and the id of the other.
    Original(u32),
    /// The copy.
    Copy,
}

impl OneThread {
    /// Looks whether it is so.
    ///
    /// # Errors
    /// There are several, or it cannot be seen.
    pub fn look() -> io::Result<OneThread> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(OneThread(())),
            _ => Err(io::Error::other("this process has several threads")),
        }
    }

    /// Splits this process into itself and a copy that has the same parent.
    ///
    /// # Errors
    /// What clone(2) reports.
    pub fn fork_sibling(&self) -> io::Result<Fork> {
        let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
        // No stack of its own. One kind of machine has the two the other way round (clone(2)).
        let (first, second) = if cfg!(target_arch = "s390x") { (0, flags) } else { (flags, 0) };
        // SAFETY: without CLONE_VM nothing is shared, so this is fork(2) but for
        // the parent. This process has one thread, so no lock or half-changed
        // state of another is copied. What the C library notes about a fork
        // concerns threads alone.
        #[allow(unsafe_code)]
        let result = unsafe { libc::syscall(libc::SYS_clone, first, second, 0, 0, 0) };
        match u32::try_from(result) {
            Ok(0) => Ok(Fork::Copy),
            Ok(pid) => Ok(Fork::Original(pid)),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Sets a variable of the environment, or removes it.
    ///
    /// # Panics
    /// If there is a NUL in it, or `name` is empty or has a `=`, as no variable
    /// of an environment has.
    pub fn set_variable(&self, name: &OsStr, value: Option<&OsStr>) {
        // SAFETY: there is no other thread that could look meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            match value {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OneThread;

    #[test]
    fn several_threads_are_seen() {
        let (end, ending) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || ending.recv());
        assert!(OneThread::look().is_err());
        drop(end);
        assert!(other.join().unwrap().is_err());
    }
}
