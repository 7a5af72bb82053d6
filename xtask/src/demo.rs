//! `cargo xtask demo`: a server with a throw-away account, as an ordinary user,
//! on a loopback port, in a directory of its own.

mod classic;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, Uid};
use tempfile::TempDir;

use crate::project;

/// The account's name.
const USER: &str = "demo";

/// The port, if nobody else has it.
const PORT: u16 = 1110;

/// Whom root becomes: a uid that owns nothing (nobody and nogroup on Debian).
const NOBODY: u32 = 65534;

/// Builds, and becomes `postrider serve --demo`, which does the rest itself.
pub(crate) fn integrated() -> Result<()> {
    let built = project::build_release()?;
    Err(Command::new(built.join("postrider")).args(["serve", "--demo"]).exec()).context("postrider")
}

/// The chain of couriertcpd: builds, shows, waits for Ctrl-C, cleans up.
pub(crate) fn classic() -> Result<()> {
    let built = project::build_release()?;
    let ending = signals_that_end()?;
    let stage = Stage::set(&built, &classic::PROGRAMS)?;
    let password = random_password()?;
    let maildir = classic::make_account(&stage, &password)?;
    stage.deliver_messages(&maildir)?;
    let port = free_port()?;
    let mut server = classic::start(&stage, port)?;
    let result = wait_until_it_listens(&mut server, port).and_then(|()| {
        tell(port, &password);
        wait_for(&ending, &mut server)
    });
    stop(&mut server);
    stage.strike()?;
    result
}

/// Blocks the signals that end the demo, so that they are waited for and
/// nothing is left behind.
fn signals_that_end() -> Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}

fn random_password() -> Result<String> {
    let octets: [u8; 5] = system::random::octets()?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// Port 1110, or any free one.
fn free_port() -> Result<u16> {
    let address = Ipv4Addr::LOCALHOST;
    let listener = TcpListener::bind((address, PORT)).or_else(|_| TcpListener::bind((address, 0)))?;
    Ok(listener.local_addr()?.port())
}

/// The directory in which everything happens, and as whom.
struct Stage {
    directory: TempDir,
    programs: PathBuf,
    uid: u32,
    gid: u32,
}

impl Stage {
    /// Makes the directory. Root plays as nobody, who may not be able to reach
    /// the project, so the programs are copied to where he can.
    fn set(built: &Path, taking_part: &[&'static str]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("postrider-demo-").tempdir()?;
        let (uid, gid) = system::user::own_ids();
        if !Uid::effective().is_root() {
            return Ok(Stage { directory, programs: built.to_owned(), uid, gid });
        }
        let programs = directory.path().join("bin");
        fs::create_dir(&programs)?;
        for program in taking_part {
            fs::copy(built.join(program), programs.join(program)).context(*program)?;
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let stage = Stage { directory, programs, uid: NOBODY, gid: NOBODY };
        chown(stage.directory.path(), Some(NOBODY), Some(NOBODY))?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A call of one of our programs, as the user who plays.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.directory.path());
        if Uid::effective().is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Puts the sample messages into `maildir`.
    fn deliver_messages(&self, maildir: &Path) -> Result<()> {
        let samples = project::root()?.join("demo/messages");
        let mut files: Vec<PathBuf> =
            fs::read_dir(&samples)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        // The shortest first: it is the one to look at.
        files.sort_by_key(|file| fs::metadata(file).map_or(0, |file| file.len()));
        for (number, file) in files.iter().enumerate() {
            let name = format!("new/{}.M{number}P1.demo", 1_700_000_000 + number);
            self.write(&maildir.join(name), &fs::read(file)?)?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, octets: &[u8]) -> Result<()> {
        fs::write(path, octets).with_context(|| path.display().to_string())?;
        chown(path, Some(self.uid), Some(self.gid))?;
        Ok(())
    }

    /// Removes the directory.
    fn strike(self) -> Result<()> {
        self.directory.close().context("the demo's directory could not be removed")
    }
}

/// Runs `command` with `password` as a line of its standard input, where
/// nobody else sees it, and gives what it says.
fn tell_password(mut command: Command, password: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(format!("{password}\n").as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{:?} failed: {}", command.get_program(), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn wait_until_it_listens(server: &mut Child, port: u16) -> Result<()> {
    for _ in 0..100 {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended: {status}");
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the server does not listen")
}

fn tell(port: u16, password: &str) {
    println!(
        "
postrider serves {USER}'s Maildir on 127.0.0.1, port {port}. The account is gone when you press Ctrl-C.

    user name   {USER}
    password    {password}

Try, in another terminal:

    curl -u {USER}:{password} pop3://127.0.0.1:{port}/              # the scan listing
    curl -u {USER}:{password} pop3://127.0.0.1:{port}/1             # the first message
    curl -u {USER}:{password} pop3://127.0.0.1:{port}/ -l -X UIDL   # the unique-ids
    curl -u {USER}:{password} pop3://127.0.0.1:{port}/3 -I -X DELE  # delete the third

What follows is the server's log.
"
    );
}

/// Waits for Ctrl-C; it is an error if the server ends before.
fn wait_for(signals: &SigSet, server: &mut Child) -> Result<()> {
    loop {
        if signals.wait()? != Signal::SIGCHLD {
            println!("\nGood-bye.");
            return Ok(());
        }
        if let Some(status) = server.try_wait()? {
            bail!("the server ended: {status}");
        }
    }
}

/// Ends the server; it takes its connections with it.
fn stop(server: &mut Child) {
    if let Ok(pid) = i32::try_from(server.id()) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let _ = server.wait();
}
