//! Every file of `dialogues/` through every driver that suits it.
//!
//! One test per file and driver, named `DRIVER::FILE`; part of a name as
//! argument runs those that have it. Courier's drivers are left out, with a
//! line that says why, where its programs are not installed or this user may
//! not start them; with `CI=true` that is a failure.

mod built;
#[path = "dialogues/memory.rs"]
mod memory;
#[path = "dialogues/stands.rs"]
mod stands;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use testbed::dialogue::{Dialogue, Driver, Side, State};
use testbed::stand::{Cast, Login};
use testbed::{Outcome, courier, ledger};

use crate::stands::Stands;

/// Sessions at once. Most of the time of a run is spent waiting for Courier's
/// five seconds after a failed login.
const AT_ONCE: usize = 20;

fn main() -> Outcome<ExitCode> {
    let mut arguments = Arguments::from_args();
    let at_once = *arguments.test_threads.get_or_insert(AT_ONCE);
    let mut machine = Machine::look();
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir()?;
    let stands = Arc::new(Stands::start(directory.path(), at_once, machine.authdaemond && !arguments.list)?);

    machine.tls = stands.have_tls();
    if !machine.tls {
        machine.left_out.push("dialogues inside TLS, since there is no openssl(1)".to_owned());
    }

    let ledger = ledger::numbers()?;
    let mut trials: Vec<Trial> = machine.left_out.iter().map(|reason| nothing_left_out(reason)).collect();
    for (name, dialogue) in testbed::dialogue::all()? {
        let checked = dialogue.and_then(|dialogue| within(dialogue, &ledger));
        if let Ok(dialogue) = &checked {
            trials.extend(trials_of(&Arc::new(dialogue.clone()), &stands, &machine));
        }
        trials.push(Trial::test(format!("format::{name}"), || Ok(checked.map(drop)?)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(stands);
    directory.close()?;
    Ok(conclusion.exit_code())
}

/// The dialogue, if the ledger has every number that it names.
fn within(dialogue: Dialogue, ledger: &BTreeSet<u16>) -> Outcome<Dialogue> {
    match dialogue.ledger.iter().find(|number| !ledger.contains(number)) {
        Some(number) => Err(format!("{}: the ledger has no row {number}", dialogue.name).into()),
        None => Ok(dialogue),
    }
}

/// What can be run here.
struct Machine {
    root: bool,
    courier: bool,
    authdaemond: bool,
    tls: bool,
    left_out: Vec<String>,
}

impl Machine {
    fn look() -> Machine {
        let missing = courier::missing();
        let left_out = courier::missing_authdaemond();
        let root = nix::unistd::geteuid().is_root();
        Machine {
            root,
            courier: missing.is_none(),
            authdaemond: left_out.is_none(),
            tls: false,
            left_out: left_out.into_iter().collect(),
        }
    }
}

/// One way to run a dialogue.
type Play = fn(&Stands, &Dialogue) -> Outcome;

/// The ways that suit `dialogue` and are open on this machine.
fn ways(dialogue: &Dialogue, machine: &Machine) -> Vec<(&'static str, Play)> {
    let mut ways: Vec<(&str, Play)> = Vec::new();
    if dialogue.suits(Driver::Memory) {
        ways.push(("memory", |_, dialogue| memory::as_written(dialogue)));
        ways.push(("memory-octets", |_, dialogue| memory::octet_by_octet(dialogue)));
    }
    let pipe = dialogue.suits(Driver::Pipe);
    if pipe {
        ways.push(("pipe", |stands, dialogue| stands.pipe(dialogue, Side::Ours)));
    }
    if dialogue.suits(Driver::Tcp) || dialogue.suits(Driver::Authdaemond) {
        const DAEMON: Cast = Cast { login: Login::OurSocket, ..Cast::OURS };
        ways.push(("tcp-authdaemond", |stands, dialogue| stands.tcp(dialogue, Side::Ours, DAEMON)));
    }
    if dialogue.suits(Driver::Tcp) {
        ways.push(("tcp", |stands, dialogue| stands.tcp(dialogue, Side::Ours, Cast::OURS)));
        if dialogue.at_once().is_some() {
            ways.push(("tcp-at-once", |stands, dialogue| {
                let dialogue = dialogue.at_once().ok_or("not at once")?;
                stands.tcp(&dialogue, Side::Ours, Cast::OURS)
            }));
        }
        if machine.root {
            const ORDINARY: Cast = Cast { ordinary: true, ..Cast::OURS };
            ways.push(("tcp-ordinary-user", |stands, dialogue| stands.tcp(dialogue, Side::Ours, ORDINARY)));
        }
    }
    if dialogue.suits(Driver::Service) {
        ways.push(("service", |stands, dialogue| stands.service(dialogue, false)));
        if dialogue.at_once().is_some() {
            ways.push(("service-at-once", |stands, dialogue| {
                stands.service(&dialogue.at_once().ok_or("not at once")?, false)
            }));
        }
        if machine.tls && dialogue.tls {
            ways.push(("service-stls", |stands, dialogue| stands.service_in_tls(dialogue, true)));
            ways.push(("service-tls", |stands, dialogue| stands.service_in_tls(dialogue, false)));
        }
        if machine.root {
            ways.push(("service-ordinary-user", |stands, dialogue| stands.service(dialogue, true)));
        }
    }
    if dialogue.suits(Driver::Courier) && machine.courier {
        if pipe {
            ways.push(("courier-pipe", |stands, dialogue| stands.pipe(dialogue, Side::Courier)));
        }
        if machine.authdaemond {
            ways.push(("courier-tcp", |stands, dialogue| stands.tcp(dialogue, Side::Courier, Cast::COURIER)));
        }
        ways.extend(joints(dialogue, machine));
    }
    ways
}

/// Chains in which one program is not of the house. Before login the answers
/// are those of the login program, after it those of the mail program, so a
/// chain with two houses' programs plays only what begins after login.
fn joints(dialogue: &Dialogue, machine: &Machine) -> Vec<(&'static str, Play)> {
    const OURS: Cast = Cast::OURS;
    const THEIRS: Cast = Cast::COURIER;
    let whole = dialogue.suits(Driver::Tcp);
    let logged_in = dialogue.state == State::Transaction;
    let daemon = machine.authdaemond;
    // A record whose fields are shifted gets past Courier's login program, but
    // not past our authdaemond.
    let shifted = dialogue.ledger.contains(&119);
    let ways: [(bool, &str, Play); 7] = [
        (daemon && !shifted, "their-login-our-authdaemond", |stands, dialogue| {
            stands.tcp(dialogue, Side::Courier, Cast { login: Login::CourierOurSocket, ..THEIRS })
        }),
        (whole, "their-couriertcpd", |stands, dialogue| {
            stands.tcp(dialogue, Side::Ours, Cast { couriertcpd: Side::Courier, ..OURS })
        }),
        (whole && daemon, "our-login-their-authdaemond", |stands, dialogue| {
            stands.tcp(dialogue, Side::Ours, Cast { login: Login::Socket, ..OURS })
        }),
        (daemon, "our-couriertcpd", |stands, dialogue| {
            stands.tcp(dialogue, Side::Courier, Cast { couriertcpd: Side::Ours, ..THEIRS })
        }),
        (logged_in, "our-chain-their-courierpop3d", |stands, dialogue| {
            stands.tcp(dialogue, Side::Courier, Cast { courierpop3d: Side::Courier, ..OURS })
        }),
        (logged_in && daemon, "our-login-their-courierpop3d", |stands, dialogue| {
            stands.tcp(dialogue, Side::Courier, Cast { login: Login::Socket, ..THEIRS })
        }),
        (whole && logged_in && daemon, "their-login-our-courierpop3d", |stands, dialogue| {
            stands.tcp(dialogue, Side::Ours, Cast { courierpop3d: Side::Ours, ..THEIRS })
        }),
    ];
    ways.into_iter().filter_map(|(open, name, play)| open.then_some((name, play))).collect()
}

fn trials_of(dialogue: &Arc<Dialogue>, stands: &Arc<Stands>, machine: &Machine) -> Vec<Trial> {
    let trial = |(way, play): (&str, Play)| {
        let (dialogue, stands) = (Arc::clone(dialogue), Arc::clone(stands));
        Trial::test(format!("{way}::{}", dialogue.name), move || Ok(play(&stands, &dialogue)?))
    };
    ways(dialogue, machine).into_iter().map(trial).collect()
}

/// A trial that fails where nothing may be left out.
fn nothing_left_out(reason: &str) -> Trial {
    let verdict = courier::leave_out(reason);
    Trial::test("nothing-left-out", move || Ok(verdict?))
}
