//! Limits: how many at once, in all and from one place.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use rustix::net::{AddressFamily, SocketType};
use testbed::{Outcome, PATIENCE};

use crate::stand::{Client, Couriers, Ours, Server, Start, Whose, eventually};

/// Serves a client until it says something.
const HOLD: &str = "echo hello; read x";

/// A client that calls from `source`.
fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Outcome<Client> {
    let socket: OwnedFd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(IpAddr::V4(source), 0))?;
    rustix::net::connect(&socket, &address)?;
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Client(stream))
}

/// Clients that are being served.
fn served(server: &Server, count: usize) -> Outcome<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect()?;
        assert_eq!(client.line()?, "hello");
        clients.push(client);
    }
    Ok(clients)
}

#[test]
fn with_all_slots_used_a_client_waits_until_one_is_free() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-maxprocs=2", "-maxperip=9"]).serving(HOLD)?;
        let mut clients = served(&server, 2)?;
        let mut waiting = server.connect()?;
        assert!(waiting.hears_nothing()?, "{whose:?}");
        clients.remove(0).hang_up()?;
        assert_eq!(waiting.line()?, "hello", "{whose:?}");
        server.logs(&["WARN: 1 active connections.", "ALERT: 2 maximum active connections."])?;
    }
    Ok(())
}

#[test]
fn slots_are_used_again_and_again() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-maxprocs=2"]).serving("echo hello")?;
        for _ in 0..50 {
            assert_eq!(server.ask()?, "hello\n", "{whose:?}");
        }
    }
    Ok(())
}

#[test]
fn the_warning_comes_at_its_threshold() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-maxprocs=4", "-warn=2", "-maxperip=9"]).serving(HOLD)?;
        let _clients = served(&server, 4)?;
        server.logs(&["WARN: 2 active connections.", "ALERT: 4 maximum active connections."])?;
    }
    Ok(())
}

#[test]
fn an_address_at_its_limit_hears_the_end_at_once() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-maxperip=2"]).serving(HOLD)?;
        let mut clients = served(&server, 2)?;
        assert_eq!(server.ask()?, "", "{whose:?}");
        assert_eq!(server.ask()?, "", "{whose:?}");
        let line = "ALERT: Maximum connection limit reached for ::ffff:127.0.0.1";
        server.logs(&[line, line])?;

        let mut elsewhere = connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address)?;
        assert_eq!(elsewhere.line()?, "hello", "{whose:?}: another address has its own limit");

        clients.remove(0).hang_up()?;
        eventually("the slot is free", || Ok((server.connect()?.line()? == "hello").then_some(())))?;
    }
    Ok(())
}

#[test]
fn four_at_once_is_what_an_address_may_have() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &[]).serving(HOLD)?;
        let _clients = served(&server, 4)?;
        assert_eq!(server.ask()?, "", "{whose:?}");
    }
    Ok(())
}

#[test]
fn a_network_at_its_limit_hears_the_end_and_nobody_is_told() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-maxperc=2", "-maxprocs=20"]).serving(HOLD)?;
        let from = |third, last| connect_from(Ipv4Addr::new(127, 9, third, last), server.address);
        let (mut first, mut second) = (from(9, 1)?, from(9, 2)?);
        assert_eq!((first.line()?, second.line()?), ("hello".into(), "hello".into()));
        assert_eq!(from(9, 3)?.everything()?, "", "{whose:?}");
        assert_eq!(from(8, 3)?.line()?, "hello", "{whose:?}");
        server.logs(&[])?;
    }
    Ok(())
}

#[test]
fn refused_clients_count_for_nothing() -> Outcome {
    // Ledger 512: at Courier's the refused one is the third for a moment.
    for whose in Whose::all() {
        let server = Start::new(whose, &["-maxprocs=9", "-maxperip=2", "-warn=3"]).serving(HOLD)?;
        let _clients = served(&server, 2)?;
        assert_eq!(server.ask()?, "");
        let refused = "ALERT: Maximum connection limit reached for ::ffff:127.0.0.1";
        match whose {
            Ours => server.logs(&[refused])?,
            // It counts at its leisure, so it may take more than one.
            Couriers => eventually("Courier has warned", || {
                server.ask()?;
                Ok(server.log().contains("WARN: 3 active connections.\n").then_some(()))
            })?,
        }
    }
    Ok(())
}

#[test]
fn a_refused_client_that_has_spoken_hears_an_end_and_no_reset() -> Outcome {
    // Ledger 513. The server is stopped until the client has spoken.
    for whose in Whose::all() {
        let mut server = Start::new(whose, &["-maxperip=1"]).serving(HOLD)?;
        let _clients = served(&server, 1)?;
        server.signal(Signal::SIGSTOP)?;
        let mut client = server.connect()?;
        client.say("USER alice")?;
        server.signal(Signal::SIGCONT)?;
        match (whose, client.everything()) {
            (Ours, result) => assert_eq!(result?, ""),
            (Couriers, result) => assert!(result.is_err(), "Courier does not reset any more"),
        }
    }
    Ok(())
}
