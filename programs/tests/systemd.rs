//! What a service manager hears of `postrider serve`, and the units that come
//! with it.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use house::House;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;

/// A service, and the manager that it tells of itself.
struct Managed {
    house: House,
    manager: UnixDatagram,
    _directory: tempfile::TempDir,
}

impl Managed {
    fn new(environment: &[(&str, &str)]) -> Managed {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        let environment = [&[("NOTIFY_SOCKET", socket.to_str().unwrap())][..], environment].concat();
        let house = House::new().served(&environment, &[]);
        Managed { house, manager, _directory: directory }
    }

    /// What is told next within `patience`, if anything is.
    fn next(&self, patience: Duration) -> Option<String> {
        self.manager.set_read_timeout(Some(patience)).unwrap();
        let mut octets = [0; 4096];
        match self.manager.recv(&mut octets) {
            Ok(length) => Some(String::from_utf8(octets[..length].to_vec()).unwrap()),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                None
            }
        }
    }

    /// What is told next besides signs of life, which begins with `beginning`.
    fn hears(&self, beginning: &str) -> String {
        loop {
            let said = self.next(PATIENCE).unwrap_or_default();
            if said != "WATCHDOG=1\n" {
                assert!(said.starts_with(beginning), "{said}");
                return said;
            }
        }
    }

    fn say(&self, word: &str) -> Output {
        let mut command = Command::new(self.house.program());
        command.arg(word).arg("--directory").arg(self.house.accounts().0).output().unwrap()
    }
}

#[test]
fn a_manager_hears_of_start_reload_upgrade_and_end() {
    let mut managed = Managed::new(&[]);
    managed.hears("READY=1\n");
    assert!(managed.say("reload").status.success());
    let reloading = managed.hears("RELOADING=1\nMONOTONIC_USEC=");
    let at = reloading.lines().nth(1).unwrap().trim_start_matches("MONOTONIC_USEC=");
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    assert!(at.parse::<f64>().unwrap() / 1e6 <= uptime + 1.0, "{at} {uptime}");
    managed.hears("READY=1\nSTATUS=serving\n");
    let authdaemonrc = managed.house.accounts().0.join("authdaemonrc");
    fs::write(&authdaemonrc, "authmodulelist=\"authnobody\"\ndaemons=2\n").unwrap();
    assert!(!managed.say("reload").status.success());
    managed.hears("RELOADING=1\n");
    managed.hears("READY=1\nSTATUS=the settings stay as they were: ");
    fs::remove_file(&authdaemonrc).unwrap();
    assert!(managed.say("upgrade").status.success());
    let followed = managed.hears("MAINPID=");
    let status = String::from_utf8(managed.say("status").stdout).unwrap();
    let pid = followed.lines().next().unwrap().trim_start_matches("MAINPID=");
    assert!(status.starts_with(&format!("pid: {pid}\n")), "{followed}{status}");
    assert!(managed.house.ended().success());
    assert!(managed.say("stop").status.success());
    managed.hears("STOPPING=1\n");
}

#[test]
fn a_manager_that_watches_hears_of_life_while_all_processes_answer() {
    let mut managed = Managed::new(&[("WATCHDOG_USEC", "400000")]);
    managed.hears("READY=1\n");
    let alive = || assert_eq!(managed.next(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
    (0..5).for_each(|_| alive());
    let pid = managed.house.service.pid();
    let front = house::children(pid, "postrider-front")[0];
    kill(Pid::from_raw(front), Signal::SIGSTOP).unwrap();
    // It may have answered the last question.
    let told = (0..3).filter_map(|_| managed.next(Duration::from_secs(1))).count();
    assert!(told < 3, "{told}");
    assert_eq!(managed.next(Duration::from_secs(2)), None);
    kill(Pid::from_raw(front), Signal::SIGCONT).unwrap();
    assert_eq!(managed.next(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
    assert!(managed.house.end().success());
}

#[test]
fn the_service_can_do_with_the_rights_of_its_unit() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/usr/bin/setpriv").exists() {
        return;
    }
    let unit = fs::read_to_string(testbed::root().join("dist/postrider.service")).unwrap();
    let rights = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let rights: String = rights.split(' ').map(|right| right.replace("CAP_", ",+").to_lowercase()).collect();
    let with_rights = |program| {
        let mut command = Command::new("/usr/bin/setpriv");
        command.arg(format!("--bounding-set=-all{rights}")).args(["--no-new-privs", "--"]).arg(program);
        command
    };
    let required = [("POSTRIDER_CONFINEMENT", "require"), ("POSTRIDER_FAREWELL", "1")];
    let mut house = House::new().served_by(with_rights, &required, &[]);
    house.await_ready();
    house.log_in().unwrap().quit().unwrap();
    let mut session = house.log_in().unwrap();
    session.command("STAT").unwrap();
    // It may end processes that are others by now.
    house::end(&house.processes("postrider-front"));
    house.log_in_again().quit().unwrap();
    assert!(house.end().success());
}

#[test]
fn the_units_are_good_and_the_service_is_exposed_little() {
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        eprintln!("left out: no systemd-analyze");
        return;
    }
    let house = House::new();
    let directory = tempfile::tempdir().unwrap();
    let units = ["postrider.service", "postrider.socket", "postrider-tls.socket"];
    for unit in units {
        let text = fs::read_to_string(testbed::root().join("dist").join(unit)).unwrap();
        let text = text.replace("/usr/bin/postrider", house.program().to_str().unwrap());
        fs::write(directory.path().join(unit), text).unwrap();
    }
    let paths = units.map(|unit| directory.path().join(unit));
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("postrider"), "{said}");
    let mut security = Command::new("systemd-analyze");
    let security =
        security.args(["security", "--offline=true", "--threshold=45"]).arg(&paths[0]).output().unwrap();
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}
