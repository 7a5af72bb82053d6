//! userdbpw(8): a password from standard input, its stored form on standard
//! output (reference: authlib 8).
//!
//! Without an option it makes traditional DES crypt, as Courier's does: the
//! programs that read these files may know nothing else, and scripts expect
//! it. It is a weak form, so the program says what is lost.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use authlib::hmac_state::Hash;
use authlib::password::new::{self, Scheme};
use authlib::printable::has_control;
use zeroize::Zeroizing;

use crate::prompt::{self, Echo};

/// Octets of a password that DES crypt looks at.
const DES_LENGTH: usize = 8;

/// What is made of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Crypt(Scheme),
    Hmac(Hash),
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("invalid argument.")]
    Argument,
    #[error("no password was given.")]
    Nothing,
    #[error("the two passwords are not the same.")]
    NotTheSame,
    #[error("the password is empty; nobody could log in with it.")]
    Empty,
    #[error("the password holds a control character; nobody could log in with it.")]
    ControlOctet,
    #[error(transparent)]
    New(#[from] new::Failed),
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

fn form(arguments: &[OsString]) -> Result<Form, Failed> {
    let [argument] = arguments else {
        return if arguments.is_empty() { Ok(Form::Crypt(Scheme::Des)) } else { Err(Failed::Argument) };
    };
    match argument.to_str().and_then(|argument| argument.strip_prefix('-')) {
        Some("md5") => Ok(Form::Crypt(Scheme::Md5Crypt)),
        Some(name) => {
            Hash::ALL.into_iter().find(|hash| hash.name() == name).map(Form::Hmac).ok_or(Failed::Argument)
        }
        None => Err(Failed::Argument),
    }
}

fn convert(form: Form) -> Result<(), Failed> {
    let password = password()?;
    if form == Form::Crypt(Scheme::Des) && password.len() > DES_LENGTH {
        let _ = writeln!(
            io::stderr(),
            "userdbpw: only the first {DES_LENGTH} characters count in this form; -md5 uses all of them."
        );
    }
    let mut stored = match form {
        Form::Crypt(scheme) => Zeroizing::new(new::stored(scheme, &password)?),
        Form::Hmac(hash) => hash.stored(&password),
    };
    stored.push('\n');
    io::stdout().write_all(stored.as_bytes())?;
    Ok(())
}

/// The password; a person types it twice. What no login can ever carry is
/// refused (ledger 605).
fn password() -> Result<Zeroizing<Vec<u8>>, Failed> {
    let password = prompt::line("Password: ", Echo::Hidden)?.ok_or(Failed::Nothing)?;
    if prompt::is_terminal() {
        let again = prompt::line("Reenter password: ", Echo::Hidden)?.ok_or(Failed::Nothing)?;
        if again != password {
            return Err(Failed::NotTheSame);
        }
    }
    match password.as_slice() {
        [] => Err(Failed::Empty),
        octets if has_control(octets) => Err(Failed::ControlOctet),
        _ => Ok(password),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failed, Form, form};
    use authlib::hmac_state::Hash;
    use authlib::password::new::Scheme;

    #[test]
    fn options_are_those_of_the_manual_and_no_others() {
        let form = |words: &[&str]| form(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert!(matches!(form(&[]), Ok(Form::Crypt(Scheme::Des))));
        assert!(matches!(form(&["-md5"]), Ok(Form::Crypt(Scheme::Md5Crypt))));
        assert!(matches!(form(&["-hmac-md5"]), Ok(Form::Hmac(Hash::Md5))));
        assert!(matches!(form(&["-hmac-sha1"]), Ok(Form::Hmac(Hash::Sha1))));
        assert!(matches!(form(&["-hmac-sha256"]), Ok(Form::Hmac(Hash::Sha256))));
        for words in [["-foo"].as_slice(), &["md5"], &["-md5", "x"], &[""], &["--help"]] {
            assert!(matches!(form(words), Err(Failed::Argument)), "{words:?}");
        }
    }
}
