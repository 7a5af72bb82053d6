//! seccomp: which system calls there are for a process. Those that are not
//! there fail with EPERM.
//!
//! What runs our own code alone is told what it may do; what runs the programs
//! of others (modules, `loginexec`) is told what nobody needs for that.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lists;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use filter::{available, restrict};

/// As the log shows it.
pub(super) const NAME: &str = "seccomp";

/// Whether this system has it: not for this processor.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn available() -> bool {
    false
}

/// Does nothing.
///
/// # Errors
/// Always.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn restrict(_confinement: &super::Confinement) -> Result<(), String> {
    Err("not for this processor".to_owned())
}
