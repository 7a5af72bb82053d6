//! How each client is told what to do.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testbed::{Outcome, root};

/// A client, and how it is run.
pub(crate) struct Client {
    program: &'static str,
    /// Arguments with which it only shows that it can be run.
    trial: &'static [&'static str],
    package: &'static str,
    /// Whether it remembers unique-ids, so that it fetches nothing twice.
    pub(crate) remembers: bool,
    /// What it makes of a message by itself.
    pub(crate) rewrites: fn(Vec<u8>) -> Vec<u8>,
    fetch: fn(&Errand) -> Outcome,
}

/// As whom root runs clients: fetchmail and getmail want to be somebody whom
/// the passwd data base knows, and not root (nobody and nogroup on Debian).
const NOBODY: (u32, u32) = (65_534, 65_534);

/// How a client shows who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// As it likes, with the password.
    Password,
    /// With AUTH CRAM-MD5.
    CramMd5,
    /// With AUTH SCRAM-SHA-1.
    ScramSha1,
    /// With AUTH SCRAM-SHA-256.
    ScramSha256,
    /// With APOP.
    Apop,
}

/// What a client does about TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// It speaks in clear.
    Clear,
    /// It insists on STLS.
    Stls,
    /// It begins with TLS.
    Tls,
}

/// One client's errand: from where, to where, how to log in, and whether
/// messages stay.
pub(crate) struct Errand {
    directory: PathBuf,
    server: SocketAddr,
    login: Login,
    security: Security,
    /// Who vouches for the server, who is `localhost`.
    authority: PathBuf,
    owner: (u32, u32),
    keep: bool,
}

pub(crate) const CURL: Client = Client {
    program: "/usr/bin/curl",
    trial: &["--version"],
    package: "curl",
    remembers: false,
    rewrites: std::convert::identity,
    fetch: curl,
};
pub(crate) const FETCHMAIL: Client = Client {
    program: "/usr/bin/fetchmail",
    trial: &["--version"],
    package: "fetchmail",
    remembers: true,
    rewrites: std::convert::identity,
    fetch: fetchmail,
};
pub(crate) const GETMAIL: Client = Client {
    program: "/usr/bin/getmail",
    trial: &["--version"],
    package: "getmail6",
    remembers: true,
    rewrites: return_path_first,
    fetch: getmail,
};
pub(crate) const MPOP: Client = Client {
    program: "/usr/bin/mpop",
    trial: &["--version"],
    package: "mpop",
    remembers: true,
    rewrites: std::convert::identity,
    fetch: mpop,
};
pub(crate) const NET_POP3: Client = Client {
    program: "/usr/bin/perl",
    trial: &["-MNet::POP3", "-e", "1"],
    package: "perl",
    remembers: false,
    rewrites: std::convert::identity,
    fetch: net_pop3,
};
pub(crate) const POPLIB: Client = Client {
    program: "/usr/bin/python3",
    trial: &["-c", "import poplib"],
    package: "python3",
    remembers: false,
    rewrites: std::convert::identity,
    fetch: poplib,
};

impl Client {
    /// Why it cannot be run, if so.
    pub(crate) fn missing(&self) -> Option<String> {
        let mut trial = Command::new(self.program);
        trial.args(self.trial).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let there = trial.status().is_ok_and(|status| status.success());
        (!there).then(|| format!("{} cannot be run (Debian: {})", self.program, self.package))
    }

    /// Runs the errand; returns what has arrived.
    pub(crate) fn run(&self, errand: &Errand) -> Outcome<Vec<Vec<u8>>> {
        (self.fetch)(errand)?;
        let arrived = crate::files(&errand.inbox())?;
        fs::remove_dir_all(errand.inbox())?;
        errand.make(&errand.inbox())?;
        Ok(arrived)
    }
}

impl Errand {
    /// Messages stay on the server.
    pub(crate) fn new(directory: &Path, server: SocketAddr, login: Login) -> Outcome<Errand> {
        let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let owner = if own.0 == 0 { NOBODY } else { own };
        let (directory, authority) = (directory.to_owned(), PathBuf::new());
        let errand =
            Errand { directory, server, login, security: Security::Clear, authority, owner, keep: true };
        for made in ["", "tmp", "new", "cur"] {
            errand.make(&errand.directory.join(made))?;
        }
        Ok(errand)
    }

    /// Messages are deleted on the server.
    pub(crate) fn deleting(self) -> Errand {
        Errand { keep: false, ..self }
    }

    /// TLS is spoken, with a server for whom `authority` vouches.
    pub(crate) fn secured(mut self, security: Security, authority: &Path) -> Outcome<Errand> {
        // Whoever runs the client may read it.
        self.authority = self.directory.join("authority.pem");
        fs::copy(authority, &self.authority)?;
        self.security = security;
        Ok(self)
    }

    /// The word for what is done about TLS.
    fn by_security<'a>(&self, clear: &'a str, stls: &'a str, tls: &'a str) -> &'a str {
        match self.security {
            Security::Clear => clear,
            Security::Stls => stls,
            Security::Tls => tls,
        }
    }

    /// The one word or the other, by how it logs in.
    fn by_login<'a>(&self, password: &'a str, otherwise: &'a str) -> &'a str {
        if self.login == Login::Password { password } else { otherwise }
    }

    /// Where messages arrive: the directory is a Maildir.
    fn inbox(&self) -> PathBuf {
        self.directory.join("new")
    }

    fn make(&self, directory: &Path) -> Outcome {
        fs::create_dir_all(directory)?;
        Ok(chown(directory, Some(self.owner.0), Some(self.owner.1))?)
    }

    /// Writes a file of settings that only its owner may read.
    fn settings(&self, text: &str) -> Outcome<PathBuf> {
        let path = self.directory.join("settings");
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(self.owner.0), Some(self.owner.1))?;
        Ok(path)
    }

    /// A script of `clients/`, where everybody can read it.
    fn script(&self, name: &str) -> Outcome<PathBuf> {
        let script = self.directory.join(name);
        fs::copy(root().join("programs/tests/clients").join(name), &script)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o644))?;
        Ok(script)
    }

    /// A call of `program` as an ordinary user.
    fn call(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.directory);
        command.current_dir(&self.directory).stdin(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            command.uid(self.owner.0).gid(self.owner.1);
        }
        command
    }
}

/// getmail puts the line Return-Path before all others.
fn return_path_first(message: Vec<u8>) -> Vec<u8> {
    let mut lines: Vec<_> = message.split_inclusive(|&octet| octet == b'\n').collect();
    lines.sort_by_key(|line| !line.starts_with(b"Return-Path: "));
    lines.concat()
}

/// Runs `command`; `quiet` are exit codes that say no more than that there was
/// nothing to fetch.
fn succeed(command: &mut Command, quiet: &[i32]) -> Outcome<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() || output.status.code().is_some_and(|code| quiet.contains(&code)) {
        return Ok(output.stdout);
    }
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    Err(format!("{:?}: {}\n{}", command.get_program(), output.status, String::from_utf8_lossy(&said)).into())
}

fn curl(errand: &Errand) -> Outcome {
    let call = |path: &str, more: &[&str]| {
        let mut command = errand.call(CURL.program);
        command.args(["--silent", "--show-error", "--user", "alice:secret"]).args(more);
        if errand.login == Login::CramMd5 {
            command.args(["--login-options", "AUTH=CRAM-MD5"]);
        }
        let (ip, port) = (errand.server.ip(), errand.server.port());
        let scheme = errand.by_security("pop3", "pop3", "pop3s");
        if errand.security != Security::Clear {
            command.args(["--ssl-reqd", "--cacert"]).arg(&errand.authority);
        }
        command.args(["--resolve", &format!("localhost:{port}:{ip}")]);
        succeed(command.arg(format!("{scheme}://localhost:{port}/{path}")), &[])
    };
    let listing = String::from_utf8(call("", &[])?)?;
    let numbers: Vec<_> = listing.lines().filter_map(|line| line.split(' ').next()).collect();
    for number in &numbers {
        fs::write(errand.inbox().join(number), call(number, &[])?)?;
    }
    // Each call is a session of its own, so the last number goes first.
    for number in numbers.iter().rev().filter(|_| !errand.keep) {
        call(number, &["--head", "--request", "DELE"])?;
    }
    Ok(())
}

fn fetchmail(errand: &Errand) -> Outcome {
    let (ip, port, inbox) = (errand.server.ip(), errand.server.port(), errand.inbox());
    let settings = errand.settings(&format!(
        "set invisible\n\
         poll {ip} protocol POP3 port {port} uidl auth {login}\n\
         user alice password secret {keep} no rewrite {tls}\n\
         mda \"cat > $(mktemp --tmpdir={inbox})\"\n",
        login = errand.by_login("password", "cram-md5"),
        keep = if errand.keep { "keep" } else { "nokeep fetchall" },
        tls = match errand.security {
            Security::Clear => "sslproto \"\"".to_owned(),
            secured => format!(
                "{} sslcertck sslcertfile {} sslcommonname localhost",
                if secured == Security::Tls { "ssl" } else { "sslproto tls1.2+" },
                errand.authority.display()
            ),
        },
        inbox = inbox.display(),
    ))?;
    let mut command = errand.call(FETCHMAIL.program);
    command.args(["--nodetach", "--nosyslog", "--fetchmailrc"]).arg(settings);
    command.arg("--idfile").arg(errand.directory.join("ids"));
    command.arg("--pidfile").arg(errand.directory.join("pid"));
    succeed(&mut command, &[1]).map(drop)
}

fn getmail(errand: &Errand) -> Outcome {
    let settings = errand.settings(&format!(
        "[retriever]\n{retriever}\nserver = {ip}\nport = {port}\n\
         username = alice\npassword = secret\n\
         [destination]\ntype = MDA_external\npath = /bin/sh\narguments = ('{script}', '{inbox}')\n\
         [options]\nread_all = false\ndelete = {delete}\ndelivered_to = false\nreceived = false\nverbose = 0\n",
        retriever = match errand.security {
            Security::Tls => format!(
                "type = SimplePOP3SSLRetriever\nca_certs = {}\nssl_cert_hostname = localhost",
                errand.authority.display()
            ),
            _ => "type = SimplePOP3Retriever".to_owned(),
        },
        ip = errand.server.ip(),
        port = errand.server.port(),
        script = errand.script("deliver.sh")?.display(),
        inbox = errand.inbox().display(),
        delete = !errand.keep,
    ))?;
    let mut command = errand.call(GETMAIL.program);
    succeed(command.arg("--getmaildir").arg(&errand.directory).arg("--rcfile").arg(settings), &[]).map(drop)
}

fn mpop(errand: &Errand) -> Outcome {
    let login = match errand.login {
        Login::Password => "user",
        Login::CramMd5 => "cram-md5",
        Login::ScramSha1 => "scram-sha-1",
        Login::ScramSha256 => "scram-sha-256",
        Login::Apop => "apop",
    };
    let settings = errand.settings(&format!(
        "account default\nhost {ip}\nport {port}\nuser alice\npassword secret\n{tls}\nauth {login}\n\
         keep {keep}\nreceived_header off\nuidls_file {directory}/uidls\ndelivery maildir {directory}\n",
        ip = errand.server.ip(),
        port = errand.server.port(),
        keep = if errand.keep { "on" } else { "off" },
        tls = match errand.security {
            Security::Clear => "tls off".to_owned(),
            secured => format!(
                "tls on\ntls_starttls {}\ntls_trust_file {}\ntls_host_override localhost",
                if secured == Security::Stls { "on" } else { "off" },
                errand.authority.display()
            ),
        },
        directory = errand.directory.display(),
    ))?;
    succeed(errand.call(MPOP.program).arg("--quiet").arg("--file").arg(settings), &[]).map(drop)
}

fn net_pop3(errand: &Errand) -> Outcome {
    script(errand, NET_POP3.program, "fetch.pl")
}

fn poplib(errand: &Errand) -> Outcome {
    script(errand, POPLIB.program, "fetch.py")
}

/// Runs a script of `clients/`, which are a library's few lines of use.
fn script(errand: &Errand, interpreter: &str, name: &str) -> Outcome {
    let keep = if errand.keep { "keep" } else { "delete" };
    let mut command = errand.call(interpreter);
    command
        .arg(errand.script(name)?)
        .arg(errand.server.ip().to_string())
        .arg(errand.server.port().to_string());
    let login = if errand.login == Login::Apop { "apop" } else { errand.by_login("password", "cram-md5") };
    command.arg(errand.inbox()).arg(keep).arg(login);
    command.arg(errand.by_security("clear", "stls", "tls")).arg(&errand.authority);
    succeed(&mut command, &[]).map(drop)
}
