//! The command line (couriertcpd(1)): single-dash options, then the port list,
//! then the program and its arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::limits::Limits;

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// Accept connections.
    Serve(Box<Settings>),
    /// End the couriertcpd that holds this pid file.
    Stop(PathBuf),
    /// Send SIGHUP to it.
    Restart(PathBuf),
}

/// How to accept connections.
#[derive(Debug)]
pub(super) struct Settings {
    /// The port list as written.
    pub(super) ports: OsString,
    /// `-address`: for ports that name no address of their own.
    pub(super) address: Option<OsString>,
    /// `-listen`: how many clients may wait in the kernel (ledger 501).
    pub(super) backlog: Option<u32>,
    /// `-maxprocs`, `-warn`, `-maxperip`, `-maxperc`.
    pub(super) limits: Limits,
    /// `-pid`: go to the background.
    pub(super) pid_file: Option<PathBuf>,
    /// `-stderr`, `-stderrlogger`, `-stderrloggername`.
    pub(super) log: LogTo,
    /// `-user`, a name or a number.
    pub(super) user: Option<OsString>,
    /// `-group`, a name or a number.
    pub(super) group: Option<OsString>,
    /// No `-nodnslookup` was given.
    pub(super) wants_host_names: bool,
    /// The program and its arguments; the first word is also its `argv[0]`.
    pub(super) program: OsString,
    /// The words behind it.
    pub(super) arguments: Vec<OsString>,
}

/// Where descriptor 2 of the programs, and of couriertcpd itself, leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogTo {
    /// Where it led when couriertcpd was started; nowhere in the background.
    Inherited,
    /// Appended to a file.
    File(PathBuf),
    /// The programs' to their client.
    Client,
    /// To a program that reads all lines on its standard input.
    Logger {
        /// Path of the program.
        program: OsString,
        /// Its one argument.
        name: OsString,
    },
}

/// What is wrong with the command line, worded as Courier words it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    /// Too few words.
    #[error("Usage: {0} [options] port prog arg1 arg2...")]
    Usage(String),
    /// Nobody knows this option.
    #[error("{program}: Invalid option: {word}")]
    UnknownOption {
        /// Our name.
        program: String,
        /// The whole word.
        word: String,
    },
    /// Courier knows it, this release does not; ignoring it could let
    /// somebody in (ledger 500).
    #[error("{program}: Option not supported in this release: {word}")]
    Unsupported {
        /// Our name.
        program: String,
        /// The whole word.
        word: String,
    },
    /// A number that is none, or not above zero.
    #[error("Invalid {0} option.")]
    Number(&'static str),
    /// `-stop` or `-restart` alone.
    #[error("{0}: -pid argument is required.")]
    PidRequired(String),
}

/// Reads the words of the command line, `program` (our own name) first.
///
/// # Errors
/// See [`Wrong`]; whoever gets one prints it and ends with status 1.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, Wrong> {
    let mut words = words.into_iter().peekable();
    let own_name = words.next().unwrap_or_else(|| "couriertcpd".into()).to_string_lossy().into_owned();
    let mut given = Given::default();
    while let Some(word) = words.next_if(|word| word.as_bytes().starts_with(b"-")) {
        if word == "-" {
            break;
        }
        given.option(&word, &own_name)?;
    }
    given.request(own_name, words)
}

/// The options as found so far; a later one replaces an earlier one.
#[derive(Debug, Default)]
struct Given {
    address: Option<OsString>,
    backlog: Option<u32>,
    maxprocs: Option<u32>,
    maxperip: Option<u32>,
    maxperc: Option<u32>,
    warn: Option<i64>,
    pid_file: Option<PathBuf>,
    stderr: Option<OsString>,
    logger: Option<OsString>,
    logger_name: Option<OsString>,
    user: Option<OsString>,
    group: Option<OsString>,
    no_dns: bool,
    stop: bool,
    restart: bool,
}

impl Given {
    /// Takes one option; `word` starts with `-`.
    fn option(&mut self, word: &OsStr, own_name: &str) -> Result<(), Wrong> {
        let (name, value) = split(word);
        match name {
            b"-address" => self.address = Some(value),
            b"-listen" => self.backlog = Some(count(&value, "-listen")?),
            b"-maxprocs" => self.maxprocs = Some(count(&value, "-maxprocsarg")?),
            b"-maxperip" => self.maxperip = Some(count(&value, "-maxperip")?),
            b"-maxperc" => self.maxperc = Some(count(&value, "-maxperc")?),
            b"-warn" => self.warn = Some(number(&value).ok_or(Wrong::Number("-warn"))?),
            b"-pid" => self.pid_file = Some(value.into()),
            b"-stderr" => self.stderr = Some(value),
            b"-stderrlogger" => self.logger = Some(value),
            b"-stderrloggername" => self.logger_name = Some(value),
            b"-user" => self.user = Some(value),
            b"-group" => self.group = Some(value),
            b"-nodnslookup" => self.no_dns = true,
            b"-stop" => self.stop = true,
            b"-restart" => self.restart = true,
            // Nobody is asked for idents (ledger 502); Courier's -proxy does nothing either.
            b"-noidentlookup" | b"-proxy" => {}
            b"-access" | b"-accesslocal" | b"-allow" | b"-block" | b"-denymsg" | b"-drop" | b"-haproxy" => {
                return Err(Wrong::Unsupported { program: own_name.into(), word: text(word) });
            }
            _ => return Err(Wrong::UnknownOption { program: own_name.into(), word: text(word) }),
        }
        Ok(())
    }

    /// Puts options and the words behind them together.
    fn request(self, own_name: String, mut words: impl Iterator<Item = OsString>) -> Result<Request, Wrong> {
        if self.stop || self.restart {
            return match self.pid_file.filter(|file| !file.as_os_str().is_empty()) {
                Some(file) if self.stop => Ok(Request::Stop(file)),
                Some(file) => Ok(Request::Restart(file)),
                None => Err(Wrong::PidRequired(own_name)),
            };
        }
        let (Some(ports), Some(program)) = (words.next(), words.next()) else {
            return Err(Wrong::Usage(own_name));
        };
        let log = match (self.logger, self.stderr) {
            (Some(logger), _) => {
                let name = self.logger_name.unwrap_or_else(|| base_name(&program));
                LogTo::Logger { program: logger, name }
            }
            (None, Some(place)) if place == "socket" => LogTo::Client,
            (None, Some(place)) => LogTo::File(place.into()),
            (None, None) => LogTo::Inherited,
        };
        Ok(Request::Serve(Box::new(Settings {
            ports,
            address: self.address,
            backlog: self.backlog,
            limits: Limits::new(self.maxprocs, self.warn, self.maxperip, self.maxperc),
            pid_file: self.pid_file,
            log,
            user: self.user,
            group: self.group,
            wants_host_names: !self.no_dns,
            program,
            arguments: words.collect(),
        })))
    }
}

/// `-name=value`; without `=` the value is empty.
fn split(word: &OsStr) -> (&[u8], OsString) {
    let octets = word.as_bytes();
    match octets.iter().position(|&octet| octet == b'=') {
        Some(at) => (&octets[..at], OsStr::from_bytes(&octets[at + 1..]).to_owned()),
        None => (octets, OsString::new()),
    }
}

/// A number above zero.
fn count(value: &OsStr, option: &'static str) -> Result<u32, Wrong> {
    number(value)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|&number| number > 0)
        .ok_or(Wrong::Number(option))
}

/// Decimal digits, perhaps behind a minus sign, and nothing else (ledger 503).
fn number(value: &OsStr) -> Option<i64> {
    let value = value.to_str()?;
    if value.starts_with('+') { None } else { value.parse().ok() }
}

fn base_name(program: &OsStr) -> OsString {
    std::path::Path::new(program).file_name().unwrap_or(program).to_owned()
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{LogTo, Request, Settings, Wrong, parse};

    fn request(words: &[&str]) -> Result<Request, String> {
        let words = ["couriertcpd"].iter().chain(words).map(|word| (*word).into());
        parse(words).map_err(|wrong| wrong.to_string())
    }

    fn settings(words: &[&str]) -> Settings {
        match request(words) {
            Ok(Request::Serve(settings)) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_synopsis_is_understood() {
        let settings = settings(&[
            "-nodnslookup",
            "-stderr=/log",
            "-address=127.0.0.1",
            "1110",
            "/abs/login",
            "-not-ours",
            "./Maildir",
        ]);
        assert_eq!(settings.ports, "1110");
        assert_eq!(settings.address.unwrap(), "127.0.0.1");
        assert_eq!(settings.log, LogTo::File("/log".into()));
        assert!(!settings.wants_host_names);
        assert_eq!(settings.program, "/abs/login");
        assert_eq!(settings.arguments, ["-not-ours", "./Maildir"]);
    }

    #[test]
    fn a_lone_dash_ends_the_options() {
        assert_eq!(settings(&["-maxprocs=9", "-", "-1", "prog"]).ports, "-1");
    }

    #[test]
    fn a_logger_wins_over_a_file_and_is_told_the_programs_name() {
        let settings = settings(&["-stderr=/log", "-stderrlogger=/logger", "110", "/a/b/login"]);
        assert_eq!(settings.log, LogTo::Logger { program: "/logger".into(), name: "login".into() });
    }

    #[test]
    fn stop_needs_a_pid_file_and_nothing_else() {
        assert_eq!(request(&["-stop"]).unwrap_err(), "couriertcpd: -pid argument is required.");
        assert_eq!(request(&["-pid=", "-restart"]).unwrap_err(), "couriertcpd: -pid argument is required.");
        assert!(matches!(request(&["-pid=/p", "-stop"]), Ok(Request::Stop(file)) if file == *"/p"));
        assert!(matches!(request(&["-restart", "-pid=/p"]), Ok(Request::Restart(_))));
    }

    #[test]
    fn what_could_be_meant_to_keep_somebody_out_is_never_ignored() {
        for word in ["-access=/f", "-accesslocal", "-allow=z", "-block=z", "-denymsg=m", "-drop", "-haproxy"]
        {
            let wrong = request(&[word, "110", "prog"]).unwrap_err();
            assert_eq!(wrong, format!("couriertcpd: Option not supported in this release: {word}"));
        }
    }

    #[test]
    fn names_must_match_fully_and_numbers_must_be_numbers() {
        for word in ["-bogus", "-maxproc=3", "-maxprocsx=3", "--", "-=3"] {
            let wrong = request(&[word, "110", "prog"]).unwrap_err();
            assert_eq!(wrong, format!("couriertcpd: Invalid option: {word}"));
        }
        for value in ["", "=", "=0", "=-1", "=x", "=5x", "=+5", "=4294967296", "=99999999999999999999"] {
            let word = format!("-maxprocs{value}");
            assert_eq!(request(&[&word, "110", "prog"]).unwrap_err(), "Invalid -maxprocsarg option.");
        }
    }

    #[test]
    fn fewer_than_two_words_left_is_a_call_for_help() {
        let usage = Wrong::Usage("couriertcpd".into()).to_string();
        assert_eq!(usage, "Usage: couriertcpd [options] port prog arg1 arg2...");
        assert_eq!(request(&[]).unwrap_err(), usage);
        assert_eq!(request(&["-nodnslookup", "110"]).unwrap_err(), usage);
    }
}
