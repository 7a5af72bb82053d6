//! A couriertcpd, ours or Courier's, and clients of it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::chain::own_address;
use testbed::process::{Running, daemon};
use testbed::{Outcome, PATIENCE};

/// Whose couriertcpd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    Couriers,
}

pub(crate) use Whose::{Couriers, Ours};

impl Whose {
    /// Ours, and Courier's where it is installed.
    pub(crate) fn all() -> Vec<Whose> {
        static SAID: Once = Once::new();
        if Path::new(testbed::courier::COURIERTCPD).exists() {
            return vec![Ours, Couriers];
        }
        SAID.call_once(|| {
            testbed::courier::say_left_out("Courier's couriertcpd is not installed (Debian: courier-base)");
        });
        vec![Ours]
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Ours => env!("CARGO_BIN_EXE_couriertcpd"),
            Couriers => testbed::courier::COURIERTCPD,
        }
    }

    /// Runs it with `words` to its end.
    pub(crate) fn run(self, words: &[&str]) -> io::Result<Output> {
        Command::new(self.path()).args(words).stdin(Stdio::null()).output()
    }
}

/// A couriertcpd in the foreground, and a directory for its files.
pub(crate) struct Server {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    running: Running,
    kept: Option<tempfile::TempDir>,
}

/// How a [`Server`] is to be started.
pub(crate) struct Start<'a> {
    whose: Whose,
    options: &'a [&'a str],
    prelude: &'a str,
    lookups: bool,
}

impl<'a> Start<'a> {
    pub(crate) fn new(whose: Whose, options: &'a [&'a str]) -> Self {
        Start { whose, options, prelude: "", lookups: false }
    }

    /// Commands for the shell that becomes couriertcpd.
    pub(crate) fn after(self, prelude: &'a str) -> Self {
        Start { prelude, ..self }
    }

    /// Without -nodnslookup and -noidentlookup.
    pub(crate) fn with_lookups(self) -> Self {
        Start { lookups: true, ..self }
    }

    /// Listening on an address of its own, each client being served by the
    /// shell with `script`.
    pub(crate) fn serving(self, script: &str) -> Outcome<Server> {
        let address = own_address();
        self.at(address, &format!("{}.{}", address.ip(), address.port()), &["/bin/sh", "-c", script])
    }

    /// With a port list and a program; `address` is where it then listens.
    pub(crate) fn at(self, address: SocketAddr, ports: &str, program: &[&str]) -> Outcome<Server> {
        let directory = tempfile::tempdir()?;
        let mut command = daemon("/bin/sh");
        command.args(["-c", &format!("{}\nexec \"$@\"", self.prelude), "sh", self.whose.path()]);
        let lookups: &[&str] = if self.lookups { &[] } else { &["-nodnslookup", "-noidentlookup"] };
        command.args(lookups).args(self.options).arg(ports).args(program);
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(directory.path().join("stderr"))?);
        let running = Running::start(&mut command)?;
        let mut server = Server { directory, address, running, kept: None };
        server.wait_until_it_listens()?;
        Ok(server)
    }
}

impl Server {
    fn wait_until_it_listens(&mut self) -> Outcome {
        let address = self.address;
        eventually("it listens", || {
            if let Some(status) = self.running.ended()? {
                return Err(format!("couriertcpd has ended, {status}: {}", self.log()).into());
            }
            Ok(listens(address)?.then_some(()))
        })
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.running.child().id()
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Outcome {
        Ok(kill(Pid::from_raw(i32::try_from(self.pid())?), signal)?)
    }

    /// Its exit status, once it has ended; `None` if a signal has killed it.
    pub(crate) fn exit_code(&mut self) -> Outcome<Option<i32>> {
        Ok(self.running.wait(PATIENCE)?.ok_or("couriertcpd does not end")?.code())
    }

    pub(crate) fn is_alive(&mut self) -> Outcome<bool> {
        Ok(self.running.ended()?.is_none())
    }

    pub(crate) fn connect(&self) -> Outcome<Client> {
        Client::connect(self.address)
    }

    /// What a client gets that says nothing.
    pub(crate) fn ask(&self) -> Outcome<String> {
        self.connect()?.everything()
    }

    /// Keeps a directory as long as the server lives.
    pub(crate) fn keep(&mut self, directory: tempfile::TempDir) {
        self.kept = Some(directory);
    }

    /// A file of the directory kept.
    pub(crate) fn kept(&self, name: &str) -> Outcome<PathBuf> {
        Ok(self.kept.as_ref().ok_or("nothing is kept")?.path().join(name))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What descriptor 2 has got so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("stderr")).unwrap_or_default()
    }

    /// Waits until the log has these lines, and no others.
    pub(crate) fn logs(&self, lines: &[&str]) -> Outcome {
        let wanted: String = lines.iter().map(|line| format!("{line}\n")).collect();
        eventually(&format!("the log is {wanted:?}"), || Ok((self.log() == wanted).then_some(())))
            .map_err(|error| format!("{error}; it is {:?}", self.log()).into())
    }
}

/// A client's end of a connection.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Client> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client(stream))
    }

    /// One line, without its end; empty if the connection has ended.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = Vec::new();
        let mut octet = [0];
        loop {
            match self.0.read(&mut octet) {
                Ok(1) if octet != *b"\n" => line.push(octet[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                ended => {
                    ended?;
                    break;
                }
            }
        }
        Ok(String::from_utf8(line)?)
    }

    pub(crate) fn say(&mut self, line: &str) -> Outcome {
        Ok(self.0.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Everything up to the end.
    pub(crate) fn everything(mut self) -> Outcome<String> {
        let mut text = String::new();
        self.0.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Whether nothing has come yet. (What has not come after a moment may
    /// still come; a test that wants silence can only fail for a reason.)
    pub(crate) fn hears_nothing(&mut self) -> Outcome<bool> {
        self.0.set_read_timeout(Some(Duration::from_millis(200)))?;
        let heard = loop {
            match self.0.peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.0.set_read_timeout(Some(PATIENCE))?;
        match heard {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(false),
        }
    }

    pub(crate) fn hang_up(self) -> Outcome {
        Ok(self.0.shutdown(Shutdown::Both)?)
    }
}

/// Whether anybody listens at `address`, by the kernel's table: a connection
/// would be a client, and be served and counted.
pub(crate) fn listens(address: SocketAddr) -> Outcome<bool> {
    // 0A is LISTEN.
    Ok(sockets(address)?.iter().any(|columns| columns.get(3).is_some_and(|state| state == "0A")))
}

/// The rows of the kernel's table about sockets of `address` on this machine:
/// number, local address, remote address, state, queues, timer, …
pub(crate) fn sockets(address: SocketAddr) -> Outcome<Vec<Vec<String>>> {
    let table = if address.is_ipv6() { "/proc/net/tcp6" } else { "/proc/net/tcp" };
    let local = table_address(address)?;
    let rows = fs::read_to_string(table)?;
    let rows = rows.lines().map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    Ok(rows.filter(|columns| columns.get(1) == Some(&local)).collect())
}

/// An address as that table shows it.
pub(crate) fn table_address(address: SocketAddr) -> Outcome<String> {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut shown = String::new();
    for word in octets.chunks(4) {
        write!(shown, "{:08X}", u32::from_ne_bytes(word.try_into()?))?;
    }
    write!(shown, ":{:04X}", address.port())?;
    Ok(shown)
}

/// Waits until `look` has found something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > end {
            return Err(format!("waited in vain until {what}").into());
        }
        sleep(Duration::from_millis(5));
    }
}

/// Writes an executable script. A shell does it, so that no descriptor open
/// for writing is ever inherited from here, which would keep the kernel from
/// executing the file.
pub(crate) fn script(path: &Path, text: &str) -> Outcome {
    let write = "printf '%s' \"$2\" >\"$1\" && chmod 755 \"$1\"";
    let words = [OsStr::new("-c"), OsStr::new(write), OsStr::new("sh"), path.as_os_str(), OsStr::new(text)];
    let status = Command::new("/bin/sh").args(words).status()?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", path.display()).into()) }
}

/// Whether the tests run as root; if not, says once what is left out.
pub(crate) fn is_root() -> bool {
    static SAID: Once = Once::new();
    let root = nix::unistd::geteuid().is_root();
    if !root {
        SAID.call_once(|| {
            testbed::courier::say_left_out("what -user and -group do can be seen by root only")
        });
    }
    root
}
