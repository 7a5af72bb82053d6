//! A program that is put in the place of one of the service's. Whoever has taken
//! it over (a test) gets its wire; if he does not want it, it becomes the real
//! one.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use testbed::PATIENCE;
use testbed::client::Client;

use crate::house::{House, end};
use crate::wire::Wire;

/// Where the test waits, in the directory of the programs.
const CONTROL: &str = "control";
/// What the real programs are called there begins so.
const REAL: &str = "real-";

/// The name of a program of the service, if this one was started under it.
pub(crate) fn name() -> Option<String> {
    let name = own_path().file_name()?.to_string_lossy().into_owned();
    name.starts_with("postrider-").then_some(name)
}

fn own_path() -> PathBuf {
    std::env::args_os().next().unwrap_or_default().into()
}

/// The processes called `name` that the service has started.
fn real(service: u32, name: &str) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{service}/task/{service}/children")).unwrap();
    let is_called = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let program = words.split(|octet| *octet == 0).next().unwrap_or_default();
        program.ends_with(format!("/{REAL}{name}").as_bytes())
    };
    children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_called).collect()
}

/// Is what the test wants.
pub(crate) fn play(name: &str) -> ExitCode {
    let mut control = UnixStream::connect(own_path().with_file_name(CONTROL)).unwrap();
    let mut wanted = [0];
    control.read_exact(&mut wanted).unwrap();
    if wanted == *b"r" {
        let mut real = Command::new(own_path().with_file_name(format!("{REAL}{name}")));
        eprintln!("{}", real.args(std::env::args_os().skip(1)).exec());
        return ExitCode::FAILURE;
    }
    let wire = system::descriptor::inherited(3).unwrap();
    assert!(Wire(control.try_clone().unwrap().into()).send(b"x", Some(wire.as_fd())));
    drop(wire);
    let _the_test_is_over = control.read(&mut wanted);
    ExitCode::SUCCESS
}

/// A service of which some processes are captured.
pub(crate) struct Captured {
    pub(crate) house: House,
    wires: Receiver<(Wire, UnixStream)>,
    /// They live as long as these.
    held: Vec<UnixStream>,
}

impl Captured {
    /// A service that serves, and of which the next `count` processes called
    /// `name` that are started are captured. If it has any of them, they are killed.
    pub(crate) fn first(count: usize, name: &str) -> Captured {
        Captured::of_house(House::new(), &[], count, name)
    }

    /// The same where clients may log in by their certificates.
    pub(crate) fn first_that_vouches(name: &str) -> Captured {
        let house = House::new();
        let authority = house.certificates().authority();
        let environment = [("TLS_EXTERNAL", "cn"), ("TLS_TRUSTCERTS", authority.to_str().unwrap())];
        Captured::of_house(house, &environment, 1, name)
    }

    fn of_house(mut house: House, environment: &[(&str, &str)], count: usize, name: &str) -> Captured {
        // Its processes are all there then, and none of them is a puppet.
        house.log_in_again().quit().unwrap();
        let programs = house.program().parent().unwrap().to_owned();
        let program = programs.join(name);
        fs::rename(&program, programs.join(format!("{REAL}{name}"))).unwrap();
        testbed::process::install(&std::env::current_exe().unwrap(), &program).unwrap();
        let (wire, wires) = channel();
        let serves = Arc::new(AtomicBool::new(false));
        let others_are_there = Arc::clone(&serves);
        let control = UnixListener::bind(programs.join(CONTROL)).unwrap();
        // The service may be somebody else than the test.
        fs::set_permissions(programs.join(CONTROL), fs::Permissions::from_mode(0o777)).unwrap();
        thread::spawn(move || {
            let mut left = count;
            loop {
                let Ok((mut puppet, _)) = control.accept() else { return };
                if left == 0 || !others_are_there.load(Ordering::SeqCst) {
                    let _it_has_gone = puppet.write_all(b"r");
                    continue;
                }
                left -= 1;
                puppet.write_all(b"c").unwrap();
                let (_, descriptor) = Wire(puppet.try_clone().unwrap().into()).receive().unwrap();
                if wire.send((Wire(descriptor.unwrap()), puppet)).is_err() {
                    return;
                }
            }
        });
        let mut house = house.served(environment, &[]);
        drop(Client::greeted(house.service.connect().unwrap()).unwrap());
        serves.store(true, Ordering::SeqCst);
        end(&real(house.service.pid(), name));
        Captured { house, wires, held: Vec::new() }
    }

    /// Whether `line` comes to be in the log more than `times` times.
    pub(crate) fn logs(&self, line: &str, times: usize) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            let there = self.house.log().matches(line).count() > times;
            if there || Instant::now() > end {
                return there;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The wire of the next one.
    pub(crate) fn next(&mut self) -> Wire {
        let (wire, puppet) = self.wires.recv_timeout(PATIENCE).unwrap();
        self.held.push(puppet);
        wire
    }
}
