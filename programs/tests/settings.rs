//! `postrider serve` with Courier's files and with a postrider.toml, and what
//! `postrider check` says of them.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;

use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testbed::certificates::Certificates;
use testbed::chain::own_address;
use testbed::client::Client;
use testbed::process::{Running, daemon};
use testbed::stand::Stand;

/// Programs, and a directory with an account.
struct House {
    root: tempfile::TempDir,
    stand: Stand,
}

impl House {
    fn new() -> House {
        let root = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        testbed::stand::make_public(root.path()).unwrap();
        let programs = built::programs(&root.path().join("bin")).unwrap();
        let mut stand = Stand::new(&root.path().join("stand"), &programs, false).unwrap();
        testbed::maildrop::lay_out(&stand.account().home, &[], stand.account().owner).unwrap();
        // It writes the account; then it may go.
        drop(stand.service(false, &[], &[], None).unwrap());
        House { root, stand }
    }

    /// Where the account is.
    fn directory(&self) -> PathBuf {
        self.root.path().join("stand/postrider")
    }

    /// A file beside the account.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn postrider(&self, words: &[&str]) -> Command {
        let mut command = daemon(self.root.path().join("bin/postrider"));
        command.env_clear().env("PATH", "/usr/bin:/bin").args(words).stdin(Stdio::null());
        command
    }

    /// Serves with `words`, until somebody has logged in at `address`.
    fn serve(&self, words: &[&str], address: SocketAddr) -> (Running, String) {
        let log = self.stand.log();
        fs::write(&log, "").unwrap();
        let mut command = self.postrider(&[&["serve"], words].concat());
        command.stdout(Stdio::null()).stderr(fs::OpenOptions::new().append(true).open(&log).unwrap());
        let mut running = Running::start(&mut command).unwrap();
        let wire = running.connect("postrider", &log, address).unwrap();
        Client::log_in(wire).unwrap().quit().unwrap();
        (running, fs::read_to_string(&log).unwrap())
    }

    /// What `postrider check` says, and whether all is well.
    fn check(&self, words: &[&str]) -> (String, bool) {
        let output = self.postrider(&[&["check"], words].concat()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (said + &String::from_utf8_lossy(&output.stderr), output.status.success())
    }

    fn certificates(&self) -> Certificates {
        Certificates::make(&self.root.path().join("tls"), IpAddr::from([127, 0, 0, 1]), "alice").unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn couriers_files_are_served_as_they_are() {
    let house = House::new();
    let (address, tls_address) = (own_address(), own_address());
    let (certificate, key) = house.certificates().server();
    house.write(
        "pop3d",
        &format!(
            "##VERSION: $Id$\nMAXDAEMONS=40\nPOP3AUTH=\"\"\nPOP3_PROXY=0\nPORT={}\nADDRESS=0\n\
             TCPDOPTS=\"-nodnslookup -noidentlookup -address={}\"\nPOP3DSTART=YES\nMAILDIRPATH=Elsewhere\n\
             AUTH_MKHOMEDIR_SKEL=/etc/skel\n",
            address.port(),
            address.ip()
        ),
    );
    house.write(
        "pop3d-ssl",
        &format!(
            "SSLPORT={}.{}\nPOP3DSSLSTART=YES\nPOP3_STARTTLS=YES\nTLS_PROTOCOL=\n\
             TLS_STARTTLS_PROTOCOL=\"$TLS_PROTOCOL\"\nTLS_CERTFILE={}\nTLS_PRIVATE_KEYFILE='{}'\nMAILDIRPATH=Maildir\n",
            tls_address.ip(),
            tls_address.port(),
            text(&certificate),
            text(&key)
        ),
    );
    house.write("authdaemonrc", "authmodulelist=\"authuserdb\"\ndaemons=3\nDEBUG_LOGIN=0\n");
    let directory = house.directory();
    let (_running, log) = house.serve(&["--courier", text(&directory)], address);
    assert!(log.contains(&format!("INFO: listening on {address}\n")), "{log}");
    assert!(log.contains(&format!("INFO: listening on {tls_address}, for TLS\n")), "{log}");
    assert!(log.contains("INFO: modules=\"authuserdb\", daemons=3\n"), "{log}");
    let warning =
        format!("WARN: {}:10: AUTH_MKHOMEDIR_SKEL is not honoured: ", text(&directory.join("pop3d")));
    assert_eq!(log.matches(&warning).count(), 1, "{log}");
}

#[test]
fn a_postrider_toml_is_served_and_stands_above_authdaemonrc() {
    let house = House::new();
    let address = own_address();
    house.write("authdaemonrc", "authmodulelist=authpam\n");
    let directory = house.directory();
    let config = format!(
        "directory = '{}'\n[listen]\nclear = ['{address}']\n[accounts]\nmodules = ['authuserdb']\nworkers = 2\n",
        text(&directory)
    );
    let config = house.write("postrider.toml", &config);
    let (_running, log) = house.serve(&["--config", text(&config)], address);
    assert!(log.contains("INFO: modules=\"authuserdb\", daemons=2\n"), "{log}");
}

#[test]
fn what_would_let_somebody_in_keeps_the_service_from_starting() {
    let house = House::new();
    house.write("pop3d", "PORT=1\nTCPDOPTS=-access=/etc/courier/access.dat\n");
    let output = house.postrider(&["serve", "--courier", text(&house.directory())]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("pop3d:2, TCPDOPTS: -access is refused: "), "{said}");
}

#[test]
fn check_shows_settings_and_finds_nothing_wrong_where_nothing_is() {
    let house = House::new();
    let (certificate, key) = house.certificates().server();
    let (address, directory) = (own_address(), house.directory());
    let pop3d = format!(
        "PORT={}.{}\nPIDFILE=/run/x\nMY_PASSWORD=hunter2\nMAILDIR_SKIP_SYMLINK_CHECKS=0\n",
        address.ip(),
        address.port()
    );
    house.write("pop3d", &pop3d);
    let words = ["--courier", text(&directory), "--certificate", text(&certificate), "--key", text(&key)];
    let (said, good) = house.check(&words);
    assert!(good, "{said}");
    let path = directory.join("pop3d");
    for line in [
        format!("PORT={}.{} ({}:1): mapped: POSTRIDER_LISTEN", address.ip(), address.port(), text(&path)),
        format!("PIDFILE=/run/x ({}:2): not needed: ", text(&path)),
        format!("MY_PASSWORD=(not shown) ({}:3): not known", text(&path)),
        format!("MAILDIR_SKIP_SYMLINK_CHECKS=0 ({}:4): it asks for nothing", text(&path)),
        format!("TLS_CERTFILE={} (--certificate): honoured", text(&certificate)),
        format!("ok    address: {address}"),
        "ok    module authuserdb: answers".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}\n{said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("WRONG"), "{said}");
}

#[test]
fn check_says_what_would_not_work() {
    let house = House::new();
    let directory = house.directory();
    let with = |words: &[&str]| house.check(&[&["--directory", text(&directory)], words].concat());
    let free = own_address().to_string();
    let is_wrong = |(said, good): (String, bool), what: &str| {
        assert!(
            !good && said.lines().any(|line| line.starts_with("WRONG") && line.contains(what)),
            "{what}\n{said}"
        );
    };
    assert!(with(&["--listen", &free]).1);
    let (said, good) = with(&["--listen-tls", &free]);
    let own = directory.join("pop3d.pem");
    assert!(
        good && said.contains(&format!("ok    certificate: {}: it will be made\n", text(&own))),
        "{said}"
    );
    assert!(!own.exists());

    let taken = TcpListener::bind(own_address()).unwrap();
    is_wrong(with(&["--listen", &taken.local_addr().unwrap().to_string()]), "Address already in use");
    is_wrong(with(&["--listen", "host:1"]), "Invalid port: host:1");
    is_wrong(with(&["--listen", &free, "--certificate", "/nowhere"]), "/nowhere: No such file");
    let empty = house.write("empty.pem", "nothing\n");
    is_wrong(with(&["--listen", &free, "--certificate", text(&empty)]), "there is none in the file");
    house.write("pop3d.pem", "nothing\n");
    is_wrong(with(&["--listen-tls", &free]), "there is none in the file");

    for (rc, what) in [
        ("authmodulelist=authnothing\n", "there is no module authnothing"),
        ("authmodulelist=\"authuserdb authpipe\"\n", "module authpipe: "),
        ("authmodulelist=authuserdb\nPOSTRIDER_FAILURES=x\n", "POSTRIDER_FAILURES"),
        ("daemons\n", "Bad line"),
    ] {
        let path = house.write("authdaemonrc", rc);
        house.write("authProg", "#!/bin/sh\nexit 1\n");
        is_wrong(with(&["--listen", &free]), what);
        fs::remove_file(path).unwrap();
    }

    house.write("pop3d", "PORT=110\nTCPDOPTS=-drop\n");
    is_wrong(house.check(&["--courier", text(&directory)]), "-drop is refused");
    let config = house.write("p.toml", "\n[listen]\ncleer = []\n");
    is_wrong(
        house.check(&["--config", text(&config)]),
        "p.toml:3: there is no setting listen.cleer; did you mean",
    );

    fs::set_permissions(directory.join("userdb"), Permissions::from_mode(0o644)).unwrap();
    is_wrong(with(&["--listen", &free]), "can be read by others");
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    is_wrong(with(&["--listen", &free]), "writable by everybody");
    is_wrong(house.check(&["--directory", "/dev/null", "--listen", &free]), "Not a directory");
    fs::remove_file(house.root.path().join("bin/postrider-mailbox")).unwrap();
    is_wrong(with(&["--listen", &free]), "postrider-mailbox: No such file");
}

#[test]
fn a_demonstration_tells_how_to_log_in_and_leaves_nothing_behind() {
    let house = House::new();
    let place = house.root.path().join("tmp");
    testbed::stand::make_public(&place).unwrap();
    let said = house.root.path().join("said");
    let mut command = Command::new(house.root.path().join("bin/postrider"));
    command.env_clear().env("TMPDIR", &place).args(["serve", "--demo"]).stdin(Stdio::null());
    command.stdout(fs::File::create(&said).unwrap()).stderr(Stdio::null());
    let mut running = Running::start(&mut command).unwrap();
    let told = running.await_answer("postrider", &said, || {
        let text = fs::read_to_string(&said)?;
        let word = |name: &str| Some(text.split(name).nth(1)?.split_whitespace().next()?.to_owned());
        Ok(word("password ").zip(word("port ").map(|port| port.replace('.', ""))))
    });
    let (password, port) = told.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let wire = running.connect("postrider", &said, address).unwrap();
    let mut client = Client::greeted(wire).unwrap();
    client.command("USER demo").unwrap();
    assert_eq!(client.command(&format!("PASS {password}")).unwrap(), "+OK logged in.");
    assert!(client.command("STAT").unwrap().starts_with("+OK 4 "));
    client.quit().unwrap();
    let text = fs::read_to_string(&said).unwrap();
    let line = text.lines().find(|line| line.contains("--cacert")).unwrap();
    let inside = Command::new("/bin/sh").args(["-c", line]).output().unwrap();
    assert!(inside.stdout.starts_with(b"1 481\r\n"), "{}", String::from_utf8_lossy(&inside.stderr));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(running.child().id()).unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert!(running.wait(testbed::PATIENCE).unwrap().unwrap().success());
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}
