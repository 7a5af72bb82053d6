//! `cargo xtask demo`: the whole chain with a throw-away account, as an
//! ordinary user, on a loopback port, in a directory of its own.

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

/// The programs that take part.
const PROGRAMS: [&str; 7] = [
    "couriertcpd",
    "courierpop3login",
    "authuserdb",
    "courierpop3d",
    "makeuserdb",
    "userdbpw",
    "maildirmake",
];

/// Builds, shows, waits for Ctrl-C, cleans up.
pub(crate) fn run() -> Result<()> {
    let built = project::build_release()?;
    let ending = signals_that_end()?;
    let stage = Stage::set(&built)?;
    let password = random_password()?;
    stage.make_account(&password)?;
    let port = free_port()?;
    let mut chain = stage.start_chain(port)?;
    let result = wait_until_it_listens(&mut chain, port).and_then(|()| {
        tell(port, &password);
        wait_for(&ending, &mut chain)
    });
    stop(&mut chain);
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
    fn set(built: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("postrider-demo-").tempdir()?;
        let (uid, gid) = system::user::own_ids();
        if !Uid::effective().is_root() {
            return Ok(Stage { directory, programs: built.to_owned(), uid, gid });
        }
        let programs = directory.path().join("bin");
        fs::create_dir(&programs)?;
        for program in PROGRAMS {
            fs::copy(built.join(program), programs.join(program)).context(program)?;
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
        command.current_dir(self.directory.path()).env("POSTRIDER_SYSCONFDIR", self.directory.path());
        if Uid::effective().is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// The account in userdb, and its Maildir with a few messages.
    fn make_account(&self, password: &str) -> Result<()> {
        let hash = self.hash(password)?;
        let (uid, gid, home) = (self.uid, self.gid, self.path("home"));
        let home = home.display();
        let record = format!("{USER}\tuid={uid}|gid={gid}|home={home}|systempw={hash}\n");
        let userdb = self.path("userdb");
        self.write(&userdb, record.as_bytes())?;
        fs::set_permissions(&userdb, fs::Permissions::from_mode(0o600))?;
        succeed(self.program("makeuserdb").arg("-f").arg(&userdb))?;
        fs::create_dir(self.path("home"))?;
        chown(self.path("home"), Some(uid), Some(gid))?;
        succeed(self.program("maildirmake").arg(self.path("home/Maildir")))?;
        self.deliver_messages()
    }

    /// The password's hash, by userdbpw; the password goes through its
    /// standard input, where nobody else sees it.
    fn hash(&self, password: &str) -> Result<String> {
        let mut userdbpw = self.program("userdbpw").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        userdbpw.stdin.take().context("userdbpw's input")?.write_all(format!("{password}\n").as_bytes())?;
        let output = userdbpw.wait_with_output()?;
        ensure!(output.status.success(), "userdbpw failed");
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    fn deliver_messages(&self) -> Result<()> {
        let samples = project::root()?.join("demo/messages");
        let mut files: Vec<PathBuf> =
            fs::read_dir(&samples)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        // The shortest first: it is the one to look at.
        files.sort_by_key(|file| fs::metadata(file).map_or(0, |file| file.len()));
        for (number, file) in files.iter().enumerate() {
            let name = format!("home/Maildir/new/{}.M{number}P1.demo", 1_700_000_000 + number);
            self.write(&self.path(&name), &fs::read(file)?)?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, octets: &[u8]) -> Result<()> {
        fs::write(path, octets).with_context(|| path.display().to_string())?;
        chown(path, Some(self.uid), Some(self.gid))?;
        Ok(())
    }

    /// Starts the chain of the manual page, with its log on our screen.
    fn start_chain(&self, port: u16) -> Result<Child> {
        let mut couriertcpd = self.program("couriertcpd");
        couriertcpd.args(["-nodnslookup", "-address=127.0.0.1"]).arg(port.to_string());
        couriertcpd
            .args(["courierpop3login", "authuserdb", "courierpop3d"].map(|name| self.programs.join(name)));
        couriertcpd.arg("./Maildir").stdin(Stdio::null());
        couriertcpd.spawn().context("couriertcpd")
    }

    /// Removes the directory.
    fn strike(self) -> Result<()> {
        self.directory.close().context("the demo's directory could not be removed")
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{:?} failed: {status}", command.get_program());
    Ok(())
}

fn wait_until_it_listens(chain: &mut Child, port: u16) -> Result<()> {
    for _ in 0..100 {
        if let Some(status) = chain.try_wait()? {
            bail!("couriertcpd ended: {status}");
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("couriertcpd does not listen")
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

/// Waits for Ctrl-C; it is an error if the chain ends before.
fn wait_for(signals: &SigSet, chain: &mut Child) -> Result<()> {
    loop {
        if signals.wait()? != Signal::SIGCHLD {
            println!("\nGood-bye.");
            return Ok(());
        }
        if let Some(status) = chain.try_wait()? {
            bail!("couriertcpd ended: {status}");
        }
    }
}

/// Ends the chain; couriertcpd takes its connections with it.
fn stop(chain: &mut Child) {
    if let Ok(pid) = i32::try_from(chain.id()) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let _ = chain.wait();
}
