//! Where a session is held: a home directory with a Maildir, and chains of
//! programs, ours and Courier's in any mixture, that serve it.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::authdaemond::OurAuthdaemond;
use crate::certificates::Certificates;
use crate::chain::{Account, Chain};
use crate::courier::{self, Authdaemond};
use crate::dialogue::Side;
use crate::maildrop::names;
use crate::process::{self, daemon};
use crate::service::Service;
use crate::wire::Pipes;

/// What every program finds in its environment, as under a start script.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Who plays which part in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// The super-server.
    pub couriertcpd: Side,
    /// The login program.
    pub login: Login,
    /// The mail program.
    pub courierpop3d: Side,
    /// Whether all of it runs as the account's own user, without any rights.
    pub ordinary: bool,
}

/// How credentials are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Our login program with our module `authuserdb` behind it.
    Chain,
    /// Our login program with two words, asking Courier's `authdaemond`.
    Socket,
    /// Courier's login program, asking its `authdaemond`.
    Courier,
    /// Our login program with two words, asking our `authdaemond`.
    OurSocket,
    /// Courier's login program, asking our `authdaemond`.
    CourierOurSocket,
}

impl Cast {
    /// postrider alone.
    pub const OURS: Cast =
        Cast { couriertcpd: Side::Ours, login: Login::Chain, courierpop3d: Side::Ours, ordinary: false };

    /// Courier alone.
    pub const COURIER: Cast = Cast {
        couriertcpd: Side::Courier,
        login: Login::Courier,
        courierpop3d: Side::Courier,
        ordinary: false,
    };
}

/// The directory in which our programs are, where every user can get at them.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// Copies the programs `built` to `directory`, which is made: the account's
    /// user may not be able to reach the place where cargo builds.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub fn copy(built: &[impl AsRef<Path>], directory: &Path) -> Outcome<Programs> {
        make_public(directory)?;
        for program in built.iter().map(AsRef::as_ref) {
            let name = program.file_name().ok_or("a program without a name")?;
            process::install(program, &directory.join(name))?;
        }
        Ok(Programs(directory.to_owned()))
    }

    /// Our program `name`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// A place for one session, or several of one account.
#[derive(Debug)]
pub struct Stand {
    directory: PathBuf,
    programs: Programs,
    account: Account,
    authdaemond: Option<Authdaemond>,
    our_authdaemond: Option<OurAuthdaemond>,
}

impl Stand {
    /// A stand whose files are in `directory`, which is made, with an
    /// `authdaemond` of Courier's if `authdaemond` says so.
    ///
    /// # Errors
    /// A file cannot be written or a program cannot be started.
    pub fn new(directory: &Path, programs: &Programs, authdaemond: bool) -> Outcome<Stand> {
        make_public(directory)?;
        make_public(&directory.join("postrider"))?;
        Ok(Stand {
            directory: directory.to_owned(),
            programs: programs.clone(),
            account: Account::new(directory.join("alice")),
            authdaemond: authdaemond.then(|| Authdaemond::start(directory)).transpose()?,
            our_authdaemond: None,
        })
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What the programs have said beside the protocol.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// A program that serves the Maildir on two pipes, started as the login
    /// program would start it; `environment` is added to what that sets.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn pipes(&self, side: Side, environment: &[(String, String)]) -> Outcome<Pipes> {
        let mut command = Command::new(self.courierpop3d(side));
        command.arg("./Maildir").current_dir(&self.account.home).stderr(fs::File::create(self.log())?);
        let known = [
            ("PATH", PATH),
            ("TCPREMOTEIP", "::ffff:127.0.0.1"),
            ("TCPREMOTEPORT", "1100"),
            ("TCPLOCALPORT", "110"),
            ("AUTHENTICATED", "alice"),
            ("OPTIONS", ""),
            ("UTF8", "0"),
        ];
        command.env_clear().envs(known).envs(environment.iter().cloned());
        if nix::unistd::geteuid().is_root() {
            command.uid(self.account.owner.0).gid(self.account.owner.1);
        }
        Ok(Pipes::start(&mut command)?)
    }

    /// A chain with `cast`; `environment` is added to that of its first
    /// program, `fields` to the account's record.
    ///
    /// # Errors
    /// The account cannot be written, or a program cannot be started.
    pub fn chain(
        &mut self,
        cast: Cast,
        environment: &[(String, String)],
        fields: &[String],
    ) -> Outcome<Chain> {
        let couriertcpd = match cast.couriertcpd {
            Side::Ours => self.programs.path("couriertcpd"),
            Side::Courier => courier::COURIERTCPD.into(),
        };
        let login = match cast.login {
            Login::Chain | Login::Socket | Login::OurSocket => self.programs.path("courierpop3login"),
            Login::Courier | Login::CourierOurSocket => courier::COURIERPOP3LOGIN.into(),
        };
        let courierpop3d = self.courierpop3d(cast.courierpop3d);
        let record = self.account.record(fields);
        let mut command = match cast.login {
            Login::Chain => {
                install(&record, &self.directory.join("postrider"), &self.programs.path("makeuserdb"))?;
                daemon(couriertcpd)
            }
            Login::Socket | Login::Courier => {
                let authdaemond = self.authdaemond.as_mut().ok_or("no authdaemond here")?;
                install(&record, &authdaemond.configuration(), Path::new(courier::MAKEUSERDB))?;
                authdaemond.command(couriertcpd)?
            }
            Login::OurSocket => {
                self.our_authdaemond(&record)?;
                daemon(couriertcpd)
            }
            Login::CourierOurSocket => self.our_authdaemond(&record)?.command_of_courier(couriertcpd),
        };
        let module = (cast.login == Login::Chain).then(|| self.programs.path("authuserdb"));
        let words = [Some(login), module, Some(courierpop3d), Some("./Maildir".into())];
        let words: Vec<OsString> = words.into_iter().flatten().map(OsString::from).collect();
        command.env_clear().env("PATH", PATH).env("POSTRIDER_SYSCONFDIR", self.directory.join("postrider"));
        if let (Login::OurSocket, Some(ours)) = (cast.login, &self.our_authdaemond) {
            ours.at_home(&mut command);
        }
        command.envs(environment.iter().cloned());
        fs::write(self.log(), "")?;
        if cast.ordinary {
            let (uid, gid) = self.account.owner;
            give(&self.directory.join("postrider"), (uid, gid))?;
            chown(self.log(), Some(uid), Some(gid))?;
            command.uid(uid).gid(gid);
        }
        Chain::start(command, &words, &self.log())
    }

    /// `postrider serve`, with `environment` added to that of its first process
    /// and `fields` to the account's record; as the account's own user if
    /// `ordinary`; with TLS if there are `certificates`.
    ///
    /// # Errors
    /// As [`chain`](Stand::chain).
    pub fn service(
        &mut self,
        ordinary: bool,
        environment: &[(String, String)],
        fields: &[String],
        certificates: Option<&Certificates>,
    ) -> Outcome<Service> {
        let directory = self.directory.join("postrider");
        install(&self.account.record(fields), &directory, &self.programs.path("makeuserdb"))?;
        fs::write(self.log(), "")?;
        let mut command = daemon(self.programs.path("postrider"));
        command.env_clear().env("PATH", PATH).envs(environment.iter().cloned());
        if ordinary {
            let (uid, gid) = self.account.owner;
            give(&directory, (uid, gid))?;
            chown(self.log(), Some(uid), Some(gid))?;
            command.uid(uid).gid(gid);
        }
        Service::start(command, &directory, &self.log(), certificates)
    }

    /// Our `authdaemond` with `record` as the only account; it is started when
    /// it is asked for the first time.
    fn our_authdaemond(&mut self, record: &str) -> Outcome<&OurAuthdaemond> {
        if self.our_authdaemond.is_none() {
            let program = self.programs.path("authdaemond");
            let mut ours = OurAuthdaemond::new(&program, &self.directory.join("ours"))?;
            ours.start("authmodulelist=\"authuserdb\"\ndaemons=2\n")?;
            self.our_authdaemond = Some(ours);
        }
        let ours = self.our_authdaemond.as_ref().ok_or("no authdaemond of ours")?;
        install(record, &ours.configuration(), &self.programs.path("makeuserdb"))?;
        Ok(ours)
    }

    fn courierpop3d(&self, side: Side) -> PathBuf {
        match side {
            Side::Ours => self.programs.path("courierpop3d"),
            Side::Courier => courier::COURIERPOP3D.into(),
        }
    }
}

/// Makes `record` the only one of the userdb in `directory`.
fn install(record: &str, directory: &Path, makeuserdb: &Path) -> Outcome {
    let userdb = directory.join("userdb");
    if fs::read(&userdb).is_ok_and(|present| present == record.as_bytes()) {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&userdb)?
        .write_all(record.as_bytes())?;
    let made = Command::new(makeuserdb).arg("-f").arg(&userdb).output()?;
    if !made.status.success() {
        return Err(format!("makeuserdb: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    Ok(())
}

/// Gives a directory and the files in it to `owner`.
fn give(directory: &Path, (uid, gid): (u32, u32)) -> Outcome {
    chown(directory, Some(uid), Some(gid))?;
    for name in names(directory)? {
        chown(directory.join(name), Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Makes a directory that every user may pass, whatever the umask: accounts
/// have other rights than we and must get to their homes.
///
/// # Errors
/// What the file system says.
pub fn make_public(directory: &Path) -> Outcome {
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    Ok(())
}
