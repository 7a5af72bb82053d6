//! userdbpw(8): a password from standard input, its stored form on standard
//! output (reference: authlib 8).
//!
//! Without an option it makes what is modern, where Courier's makes DES crypt
//! (ledger 450): scripts take whatever comes out, and so does Courier.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use authlib::hmac_state::Hash;
use authlib::password::new::Scheme;
use authlib::scram_keys;

use crate::new_password::{self, Refused};

/// What is made of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Password(Scheme),
    Hmac(Hash),
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("invalid argument.")]
    Argument,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match form(&arguments).and_then(convert) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = writeln!(io::stderr(), "userdbpw: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// The options beside those for HMAC; the first is Courier's, the others are
/// not (ledger 459).
const OPTIONS: [(&str, Scheme); 8] = [
    ("md5", Scheme::Md5Crypt),
    ("des", Scheme::Des),
    ("sha512", Scheme::Sha512Crypt),
    ("bcrypt", Scheme::Bcrypt),
    ("yescrypt", Scheme::Yescrypt),
    ("argon2id", Scheme::Argon2id),
    ("scram-sha-1", Scheme::Scram(scram_keys::Hash::Sha1)),
    ("scram-sha-256", Scheme::Scram(scram_keys::Hash::Sha256)),
];

fn form(arguments: &[OsString]) -> Result<Form, Failed> {
    let argument = match arguments {
        [] => return Ok(Form::Password(Scheme::MODERN)),
        [argument] => argument.to_str().and_then(|argument| argument.strip_prefix('-')),
        _ => None,
    };
    let name = argument.ok_or(Failed::Argument)?;
    let password = OPTIONS.into_iter().find(|(option, _)| *option == name);
    let hmac = || Hash::ALL.into_iter().find(|hash| hash.name() == name);
    password
        .map(|(_, scheme)| Form::Password(scheme))
        .or_else(|| hmac().map(Form::Hmac))
        .ok_or(Failed::Argument)
}

fn convert(form: Form) -> Result<(), Failed> {
    let mut stored = match form {
        Form::Password(scheme) => new_password::ask_and_hash("userdbpw", scheme)?,
        Form::Hmac(hash) => hash.stored(&new_password::ask()?),
    };
    stored.push('\n');
    io::stdout().write_all(stored.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Failed, Form, form};
    use authlib::hmac_state::Hash;
    use authlib::password::new::Scheme;

    #[test]
    fn options_are_those_of_the_manual_and_no_others() {
        let form = |words: &[&str]| form(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert!(matches!(form(&[]), Ok(Form::Password(Scheme::Yescrypt))));
        assert!(matches!(form(&["-md5"]), Ok(Form::Password(Scheme::Md5Crypt))));
        assert!(matches!(form(&["-des"]), Ok(Form::Password(Scheme::Des))));
        assert!(matches!(form(&["-bcrypt"]), Ok(Form::Password(Scheme::Bcrypt))));
        assert!(matches!(form(&["-hmac-md5"]), Ok(Form::Hmac(Hash::Md5))));
        assert!(matches!(form(&["-hmac-sha1"]), Ok(Form::Hmac(Hash::Sha1))));
        assert!(matches!(form(&["-hmac-sha256"]), Ok(Form::Hmac(Hash::Sha256))));
        for words in [["-foo"].as_slice(), &["md5"], &["-md5", "x"], &[""], &["--help"]] {
            assert!(matches!(form(words), Err(Failed::Argument)), "{words:?}");
        }
    }
}
