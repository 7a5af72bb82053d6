//! The options of `postrider serve` and `postrider check`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::settings::DIRECTORY;

/// The lines about them that are the same in every usage.
pub(super) const USAGE: &str = "  --directory DIR             accounts (userdb) and settings; otherwise
                              $XDG_DATA_HOME/postrider or ~/.local/share/postrider
  --courier DIR               Courier's files: pop3d, pop3d-ssl, authdaemonrc
  --config FILE               settings, as docs/postrider.toml has them
  --listen ADDRESS:PORT       where to listen; STLS is offered there if there is
                              a certificate
  --listen-tls ADDRESS:PORT   where to listen for clients that begin with TLS
  --certificate FILE          certificate chain, in PEM; otherwise TLS_CERTFILE
  --key FILE                  its private key, in PEM; otherwise
                              TLS_PRIVATE_KEYFILE, or the certificate's file
";

/// Each option that is a setting, and its variable.
const SETTINGS: [(&str, &str); 5] = [
    ("--directory", DIRECTORY),
    ("--listen", "POSTRIDER_LISTEN"),
    ("--listen-tls", "POSTRIDER_LISTEN_TLS"),
    ("--certificate", "TLS_CERTFILE"),
    ("--key", "TLS_PRIVATE_KEYFILE"),
];
/// Those of them that are lists, and may come several times.
const LISTS: [&str; 2] = ["POSTRIDER_LISTEN", "POSTRIDER_LISTEN_TLS"];
const COURIER: &str = "--courier";

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Which files are read.
    pub(super) files: Files,
    /// Option, variable and value.
    pub(super) given: Vec<(&'static str, &'static str, OsString)>,
}

/// Where settings are, beside authdaemonrc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// In no file.
    None,
    /// In Courier's files, in this directory.
    Courier(PathBuf),
    /// In this file, a postrider.toml.
    Config(PathBuf),
}

impl Options {
    /// # Errors
    /// What is wrong with the words.
    pub(super) fn parse(words: &[OsString]) -> Result<Options, String> {
        let mut options = Options { files: Files::None, given: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next();
            let value = || value.cloned().ok_or_else(|| format!("{} wants a value", word.to_string_lossy()));
            match word.to_str() {
                Some(COURIER) => options.read(Files::Courier(value()?.into()))?,
                Some("--config") => options.read(Files::Config(value()?.into()))?,
                word => match SETTINGS.iter().find(|(option, _)| Some(*option) == word) {
                    Some((option, variable)) => options.give(option, variable, value()?),
                    None => return Err(format!("what is {}?", word.unwrap_or("this, which is no text"))),
                },
            }
        }
        if let Files::Courier(directory) = &options.files {
            if options.given.iter().any(|(_, variable, _)| *variable == DIRECTORY) {
                return Err("--directory and --courier name one directory each; which is it?".to_owned());
            }
            let directory = directory.clone().into_os_string();
            options.give(COURIER, DIRECTORY, directory);
        }
        Ok(options)
    }

    fn read(&mut self, files: Files) -> Result<(), String> {
        if self.files != Files::None {
            return Err("of --courier and --config only one can be, and once".to_owned());
        }
        self.files = files;
        Ok(())
    }

    /// Takes a value: of several the last counts, of lists all.
    fn give(&mut self, option: &'static str, variable: &'static str, value: OsString) {
        match self.given.iter_mut().find(|(_, given, _)| *given == variable) {
            Some((_, _, list)) if LISTS.contains(&variable) => {
                list.push(" ");
                list.push(value);
            }
            Some((_, _, earlier)) => *earlier = value,
            None => self.given.push((option, variable, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Files, Options};
    use std::ffi::OsString;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn given(words: &[&str]) -> Vec<(&'static str, String)> {
        let given = parse(words).unwrap().given;
        given.into_iter().map(|(_, variable, value)| (variable, value.into_string().unwrap())).collect()
    }

    #[test]
    fn an_option_is_a_variable_and_addresses_add_up() {
        let words = ["--directory", "/d", "--listen", "[::1]:110", "--key", "/k", "--listen", "127.0.0.1:0"];
        assert_eq!(
            given(&words),
            [
                ("POSTRIDER_SYSCONFDIR", "/d".to_owned()),
                ("POSTRIDER_LISTEN", "[::1]:110 127.0.0.1:0".to_owned()),
                ("TLS_PRIVATE_KEYFILE", "/k".to_owned()),
            ]
        );
        assert_eq!(given(&["--key", "/a", "--key", "/b"]), [("TLS_PRIVATE_KEYFILE", "/b".to_owned())]);
    }

    #[test]
    fn couriers_directory_is_the_services() {
        let options = parse(&["--courier", "/etc/courier"]).unwrap();
        assert_eq!(options.files, Files::Courier("/etc/courier".into()));
        assert_eq!(options.given, [("--courier", "POSTRIDER_SYSCONFDIR", "/etc/courier".into())]);
    }

    #[test]
    fn words_that_are_none_are_named() {
        for (words, said) in [
            (&["--listen"][..], "--listen wants a value"),
            (&["--dirctory", "/d"], "what is --dirctory?"),
            (
                &["--courier", "/a", "--directory", "/b"],
                "--directory and --courier name one directory each; which is it?",
            ),
            (&["--courier", "/a", "--config", "/b"], "of --courier and --config only one can be, and once"),
        ] {
            assert_eq!(parse(words).unwrap_err(), said);
        }
    }
}
