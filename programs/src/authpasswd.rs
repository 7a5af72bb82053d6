//! authpasswd(1): a password from standard input, its stored form on standard
//! output (reference: authlib 17).
//!
//! ```text
//! authpasswd          $y$…, which every module compares
//! authpasswd sha256   {SHA256}…, for programs that want just that
//! ```

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use authlib::password::new::{Digest, Scheme};
use authlib::scram_keys::Hash;

use crate::new_password::{self, Refused};

const USAGE: &str = "\
Usage: authpasswd [method]

Methods: crypt md5 md5raw sha1 ssha sha256 sha512, as in Courier; and
md5crypt sha512crypt bcrypt yescrypt argon2id scram-sha-1 scram-sha-256.
Without one it is yescrypt.
";

/// Those of the manual, `sha`, which Courier's knows too, and what is newer
/// (ledger 622, 623).
const METHODS: [(&str, Scheme); 15] = [
    ("crypt", Scheme::Des),
    ("md5", Scheme::Digest(Digest::Md5)),
    ("md5raw", Scheme::Digest(Digest::Md5Raw)),
    ("sha", Scheme::Digest(Digest::Sha)),
    ("sha1", Scheme::Digest(Digest::Sha)),
    ("ssha", Scheme::Digest(Digest::SaltedSha)),
    ("sha256", Scheme::Digest(Digest::Sha256)),
    ("sha512", Scheme::Digest(Digest::Sha512)),
    ("md5crypt", Scheme::Md5Crypt),
    ("sha512crypt", Scheme::Sha512Crypt),
    ("bcrypt", Scheme::Bcrypt),
    ("yescrypt", Scheme::Yescrypt),
    ("argon2id", Scheme::Argon2id),
    ("scram-sha-1", Scheme::Scram(Hash::Sha1)),
    ("scram-sha-256", Scheme::Scram(Hash::Sha256)),
];

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let Some(scheme) = scheme(&words) else {
        let _ = io::stderr().write_all(USAGE.as_bytes());
        return ExitCode::FAILURE;
    };
    match convert(scheme) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = writeln!(io::stderr(), "authpasswd: {failed}");
            ExitCode::FAILURE
        }
    }
}

fn scheme(words: &[OsString]) -> Option<Scheme> {
    match words {
        [] => Some(Scheme::MODERN),
        [word] => METHODS.into_iter().find(|(name, _)| word == name).map(|(_, scheme)| scheme),
        _ => None,
    }
}

fn convert(scheme: Scheme) -> Result<(), Refused> {
    let mut stored = new_password::ask_and_hash("authpasswd", scheme)?;
    stored.push('\n');
    Ok(io::stdout().write_all(stored.as_bytes())?)
}
