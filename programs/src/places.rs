//! Where things are: Debian's paths, each of which an environment variable
//! can change, so that an ordinary user can run a chain in a directory of his
//! own (ledger 403).
//!
//! The environment of a server is written by whoever starts it, never by a
//! client; a client's words only ever get into variables that are named in
//! `chain`.

use std::env;
use std::path::PathBuf;

/// The configuration directory: `POSTRIDER_SYSCONFDIR`, else `/etc/courier`.
#[must_use]
pub fn configuration() -> PathBuf {
    from("POSTRIDER_SYSCONFDIR", "/etc/courier")
}

/// The text that `makeuserdb` compiles: `userdb` in [`configuration`].
#[must_use]
pub fn userdb() -> PathBuf {
    configuration().join("userdb")
}

/// The socket of authdaemond: `POSTRIDER_AUTHDAEMON_SOCKET`, else Debian's.
#[must_use]
pub fn authdaemon_socket() -> PathBuf {
    from("POSTRIDER_AUTHDAEMON_SOCKET", "/run/courier/authdaemon/socket")
}

/// Where the key for decoys may be, the best place first (ledger 428).
#[must_use]
pub fn scramkey() -> [PathBuf; 2] {
    [configuration(), authdaemon_socket().with_file_name("")]
}

/// The program that is the module called `name`: in the directory
/// `POSTRIDER_LIBEXECDIR`, else beside the program that asks.
#[must_use]
pub fn module_program(name: &str) -> PathBuf {
    let beside = || env::current_exe().ok().and_then(|own| own.parent().map(PathBuf::from));
    let directory = env::var_os("POSTRIDER_LIBEXECDIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    directory.or_else(beside).unwrap_or_default().join(name)
}

fn from(variable: &str, usual: &str) -> PathBuf {
    env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| usual.into()).into()
}
