//! -pid, -stop, -restart.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use testbed::Outcome;
use testbed::chain::own_address;

use crate::stand::{Client, Couriers, Whose, eventually, listens};

/// A couriertcpd in the background, stopped at the end of the test.
struct Background {
    whose: Whose,
    address: SocketAddr,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Background {
    fn start(whose: Whose, script: &str) -> Outcome<Background> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("pid");
        let background = Background { whose, address: own_address(), file, _directory: directory };
        let output = background.start_again(script)?;
        assert_eq!(output, (Some(0), String::new()), "{whose:?}");
        Ok(background)
    }

    /// The same command line; exit status and what was said.
    fn start_again(&self, script: &str) -> Outcome<(Option<i32>, String)> {
        let ports = format!("{}.{}", self.address.ip(), self.address.port());
        let words = [&self.pid_option(), "-nodnslookup", "-noidentlookup", &ports, "/bin/sh", "-c", script];
        run(self.whose, &words)
    }

    fn pid_option(&self) -> String {
        format!("-pid={}", self.file.display())
    }

    fn pid(&self) -> Outcome<u32> {
        Ok(fs::read_to_string(&self.file)?.trim_end_matches('\n').parse()?)
    }

    /// By `whose` -stop.
    fn stop(&self, whose: Whose) -> Outcome {
        assert_eq!(run(whose, &[&self.pid_option(), "-stop"])?, (Some(0), String::new()), "{whose:?}");
        if self.whose == Couriers {
            // The kernel may take its lock away before its sockets; ours
            // closes the sockets first.
            eventually("the socket is closed", || Ok((!listens(self.address)?).then_some(())))?;
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _stopped_already = run(self.whose, &[&self.pid_option(), "-stop"]);
    }
}

fn run(whose: Whose, words: &[&str]) -> Outcome<(Option<i32>, String)> {
    let output = whose.run(words)?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

fn mode(path: &Path) -> Outcome<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[test]
fn the_caller_returns_when_clients_can_come() -> Outcome {
    for whose in Whose::all() {
        let server = Background::start(whose, "echo hello; ps -o pgid= -p $$; echo complaint >&2")?;
        let answer = Client::connect(server.address)?.everything()?;
        let pid = server.pid()?;
        assert_eq!(answer.split_whitespace().collect::<Vec<_>>(), ["hello", &pid.to_string()], "{whose:?}");
        let program = fs::read_link(format!("/proc/{pid}/exe"))?;
        assert_eq!(program, Path::new(whose.path()).canonicalize()?);
        assert_eq!(mode(&server.file)?, 0o644, "{whose:?}");
        assert_eq!(mode(&server.file.with_extension("lock"))?, 0o600, "{whose:?}");
        for descriptor in 0..3 {
            let leads_to = fs::read_link(format!("/proc/{pid}/fd/{descriptor}"))?;
            assert_eq!(leads_to, Path::new("/dev/null"), "{whose:?}");
        }
    }
    Ok(())
}

#[test]
fn what_runs_already_is_not_started_again() -> Outcome {
    for whose in Whose::all() {
        let server = Background::start(whose, "echo hello")?;
        let pid = server.pid()?;
        assert_eq!(server.start_again("echo other")?, (Some(0), String::new()), "{whose:?}");
        assert_eq!(server.pid()?, pid);
        assert_eq!(Client::connect(server.address)?.everything()?, "hello\n");
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_reported_to_the_caller() -> Outcome {
    let address = own_address();
    let _taken = std::net::TcpListener::bind(address)?;
    let ports = format!("{}.{}", address.ip(), address.port());
    for whose in Whose::all() {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("pid");
        let option = format!("-pid={}", file.display());
        let (code, said) = run(whose, &[&option, "-nodnslookup", &ports, "/bin/cat"])?;
        assert_eq!(code, Some(1), "{whose:?}");
        // Courier adds a line about itself.
        assert_eq!(said.lines().next(), Some("bind: Address already in use"), "{whose:?}");
        assert!(!file.exists(), "{whose:?}");
    }
    Ok(())
}

#[test]
fn stop_waits_until_it_has_gone_whoever_started_it() -> Outcome {
    for starter in Whose::all() {
        for stopper in Whose::all() {
            let server = Background::start(starter, "echo hello; read x")?;
            let mut client = Client::connect(server.address)?;
            assert_eq!(client.line()?, "hello");
            server.stop(stopper)?;
            assert!(!listens(server.address)?, "{starter:?} stopped by {stopper:?}");
            assert_eq!(client.everything()?, "", "{starter:?} stopped by {stopper:?}");
            assert!(server.file.exists() && server.file.with_extension("lock").exists());
            // There is nobody to stop any more.
            server.stop(stopper)?;
        }
    }
    Ok(())
}

#[test]
fn restart_ends_nothing_whoever_started_it() -> Outcome {
    for starter in Whose::all() {
        for caller in Whose::all() {
            let server = Background::start(starter, "echo hello; read x; echo $x")?;
            let mut client = Client::connect(server.address)?;
            assert_eq!(client.line()?, "hello");
            let words = [&server.pid_option(), "-restart"];
            assert_eq!(run(caller, &words.map(|word| word as &str))?, (Some(0), String::new()));
            assert_eq!(Client::connect(server.address)?.line()?, "hello");
            client.say("still here")?;
            assert_eq!(client.everything()?, "still here\n", "{starter:?} told by {caller:?}");
        }
    }
    Ok(())
}

#[test]
fn nobody_to_stop_or_to_tell_is_no_failure() -> Outcome {
    for whose in Whose::all() {
        let directory = tempfile::tempdir()?;
        let option = format!("-pid={}", directory.path().join("pid").display());
        for word in ["-stop", "-restart"] {
            assert_eq!(run(whose, &[&option, word])?, (Some(0), String::new()), "{whose:?} {word}");
        }
    }
    Ok(())
}

#[test]
fn it_starts_again_after_a_stop() -> Outcome {
    for whose in Whose::all() {
        let server = Background::start(whose, "echo hello")?;
        let before = server.pid()?;
        server.stop(whose)?;
        assert_eq!(server.start_again("echo again")?, (Some(0), String::new()), "{whose:?}");
        assert_ne!(server.pid()?, before);
        assert_eq!(Client::connect(server.address)?.everything()?, "again\n", "{whose:?}");
    }
    Ok(())
}
