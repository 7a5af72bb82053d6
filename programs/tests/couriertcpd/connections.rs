//! What a program finds when it is started for a client.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use nix::sys::signal::Signal;
use testbed::Outcome;
use testbed::chain::own_address;

use crate::stand::{Client, Couriers, Ours, Start, Whose, eventually, sockets, table_address};

/// A free port of an IPv6 address, if this machine has IPv6.
fn ipv6_port(address: Ipv6Addr) -> Outcome<Option<SocketAddr>> {
    match TcpListener::bind((address, 0)) {
        Ok(free) => Ok(Some(free.local_addr()?)),
        Err(_) => {
            testbed::courier::say_left_out("this machine has no IPv6");
            Ok(None)
        }
    }
}

#[test]
fn the_program_learns_both_ends_of_the_connection() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &[]).serving("env | grep ^TCP | sort")?;
        let client = server.connect()?;
        let (ours, port) = (client.0.local_addr()?, server.address.port());
        // Ledger 517: IPv4 in its IPv4-mapped form.
        let expected = format!(
            "TCPLOCALIP=::ffff:{}\nTCPLOCALPORT={port}\nTCPREMOTEIP=::ffff:{}\nTCPREMOTEPORT={}\n",
            server.address.ip(),
            ours.ip(),
            ours.port()
        );
        assert_eq!(client.everything()?, expected, "{whose:?}");
    }
    Ok(())
}

#[test]
fn an_ipv6_client_is_shown_as_such() -> Outcome {
    for whose in Whose::all() {
        let Some(address) = ipv6_port(Ipv6Addr::LOCALHOST)? else { return Ok(()) };
        let ports = format!("::1.{}", address.port());
        let program = ["/bin/sh", "-c", "echo $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT"];
        let server = Start::new(whose, &[]).at(address, &ports, &program)?;
        let client = server.connect()?;
        let expected = format!("::1 {} ::1 {}\n", client.0.local_addr()?.port(), address.port());
        assert_eq!(client.everything()?, expected, "{whose:?}");
    }
    Ok(())
}

#[test]
fn a_list_of_ports_is_listened_at_everywhere() -> Outcome {
    for whose in Whose::all() {
        let Some(wildcard) = ipv6_port(Ipv6Addr::UNSPECIFIED)? else { return Ok(()) };
        let Some(six) = ipv6_port(Ipv6Addr::LOCALHOST)? else { return Ok(()) };
        let four = own_address();
        let ports = format!("{},{}.{},::1.{},", wildcard.port(), four.ip(), four.port(), six.port());
        let program = ["/bin/sh", "-c", "echo $TCPLOCALIP"];
        let server = Start::new(whose, &[]).at(wildcard, &ports, &program)?;
        let port = wildcard.port();
        for (address, shown) in [
            ((Ipv4Addr::LOCALHOST, port).into(), "::ffff:127.0.0.1".to_owned()),
            ((Ipv6Addr::LOCALHOST, port).into(), "::1".to_owned()),
            (four, format!("::ffff:{}", four.ip())),
            (six, "::1".to_owned()),
        ] {
            assert_eq!(Client::connect(address)?.everything()?, format!("{shown}\n"), "{whose:?} {address}");
        }
        drop(server);
    }
    Ok(())
}

#[test]
fn an_address_for_all_ports_does_not_hold_for_those_that_have_their_own() -> Outcome {
    for whose in Whose::all() {
        let (first, second) = (own_address(), own_address());
        let option = format!("-address={}", first.ip());
        let ports = format!("{},{}.{}", first.port(), second.ip(), second.port());
        let server = Start::new(whose, &[&option]).at(first, &ports, &["/bin/sh", "-c", "echo hello"])?;
        assert_eq!(server.ask()?, "hello\n");
        assert_eq!(Client::connect(second)?.everything()?, "hello\n");
    }
    Ok(())
}

#[test]
fn what_we_know_of_another_connection_goes_no_further() -> Outcome {
    let prelude = "export TCPREMOTEHOST=h TCPLOCALHOST=h TCPREMOTEINFO=i TCPREMOTEIP=x OTHER='a  b'";
    for whose in Whose::all() {
        let server = Start::new(whose, &[])
            .after(prelude)
            .serving("echo \"[$TCPREMOTEHOST][$TCPLOCALHOST][$TCPREMOTEINFO][$OTHER]\"; echo $TCPREMOTEIP")?;
        // Ledger 507.
        let about = if whose == Ours { "[][][][a  b]" } else { "[h][h][i][a  b]" };
        assert_eq!(server.ask()?, format!("{about}\n::ffff:127.0.0.1\n"), "{whose:?}");
    }
    Ok(())
}

#[test]
fn the_words_of_the_command_line_are_handed_on_as_they_are() -> Outcome {
    for whose in Whose::all() {
        let address = own_address();
        let ports = format!("{}.{}", address.ip(), address.port());
        let program = ["/bin/sh", "-c", "tr '\\0' '\\n' </proc/$$/cmdline", "", "-stop", "a  b", "\u{fc}"];
        let server = Start::new(whose, &[]).at(address, &ports, &program)?;
        assert_eq!(server.ask()?, program.map(|word| format!("{word}\n")).concat(), "{whose:?}");
    }
    Ok(())
}

#[test]
fn the_program_speaks_with_the_client() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &[]).serving("read a; read b; echo \"$b $a\"")?;
        let mut client = server.connect()?;
        client.say("one\ntwo")?;
        assert_eq!(client.everything()?, "two one\n", "{whose:?}");
    }
    Ok(())
}

#[test]
fn no_descriptor_of_ours_or_of_our_parent_reaches_the_program() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &[])
            .after("exec 9</dev/null")
            .serving("for n in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$n && printf $n; done")?;
        // Ledger 511.
        assert_eq!(server.ask()?, if whose == Ours { "012" } else { "0129" }, "{whose:?}");
    }
    Ok(())
}

#[test]
fn no_signal_is_blocked_or_ignored_in_the_program() -> Outcome {
    // What the shell that starts couriertcpd ignores, couriertcpd inherits.
    let prelude = "trap '' HUP INT TERM CHLD PIPE";
    let server = Start::new(Ours, &[]).after(prelude).serving("exec cat /proc/self/status")?;
    let status = server.ask()?;
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none");
        u64::from_str_radix(line.trim(), 16).map_err(|error| format!("{name} {error} in {status}"))
    };
    assert_eq!(mask("SigBlk:")?, 0);
    // 32 and 33 are the C library's own.
    assert_eq!(mask("SigIgn:")? & 0x7fff_ffff, 0);
    Ok(())
}

#[test]
fn connections_are_kept_alive() -> Outcome {
    // The shell cannot ask for socket options; the kernel's table shows the
    // keepalive timer of each connection (02), once all is acknowledged.
    for whose in Whose::all() {
        let server = Start::new(whose, &[]).serving("echo hello; read x")?;
        let mut client = server.connect()?;
        assert_eq!(client.line()?, "hello");
        let remote = table_address(client.0.local_addr()?)?;
        eventually(&format!("{whose:?} has a keepalive timer"), || {
            let rows = sockets(server.address)?;
            let timer = rows.iter().find(|row| row.get(2) == Some(&remote)).and_then(|row| row.get(5));
            Ok(timer.filter(|timer| timer.starts_with("02:")).map(drop))
        })?;
    }
    Ok(())
}

#[test]
fn a_program_that_is_not_there_closes_the_connection_and_holds_no_slot() -> Outcome {
    for whose in Whose::all() {
        let address = own_address();
        let ports = format!("{}.{}", address.ip(), address.port());
        let server =
            Start::new(whose, &["-maxprocs=1", "-warn=1"]).at(address, &ports, &["/no/such/program"])?;
        assert_eq!(server.ask()?, "", "{whose:?}");
        assert_eq!(server.ask()?, "", "{whose:?}");
        let line = "/no/such/program: No such file or directory";
        match whose {
            Ours => server.logs(&[line, line])?,
            // Its lines come from two processes, the one about a slot among them.
            Couriers => eventually("both clients are in the log", || {
                Ok((server.log().matches(line).count() == 2).then_some(()))
            })?,
        }
    }
    Ok(())
}

#[test]
fn path_is_not_searched_for_the_program() -> Outcome {
    for whose in Whose::all() {
        let address = own_address();
        let ports = format!("{}.{}", address.ip(), address.port());
        let server = Start::new(whose, &["-maxprocs=9"]).at(address, &ports, &["sh", "-c", "echo hello"])?;
        assert_eq!(server.ask()?, "", "{whose:?}");
        server.logs(&["sh: No such file or directory"])?;
    }
    Ok(())
}

#[test]
fn sigterm_and_sigint_end_all_connections_at_once() -> Outcome {
    // Ledger 516.
    for whose in Whose::all() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut server = Start::new(whose, &[]).serving("echo hello; read x")?;
            let mut client = server.connect()?;
            assert_eq!(client.line()?, "hello");
            server.signal(signal)?;
            assert_eq!(client.everything()?, "", "{whose:?}");
            assert_eq!(server.exit_code()?, Some(0), "{whose:?}");
        }
    }
    Ok(())
}

#[test]
fn sighup_ends_nothing() -> Outcome {
    for whose in Whose::all() {
        let mut server = Start::new(whose, &[]).serving("echo hello; read x; echo $x")?;
        let mut client = server.connect()?;
        assert_eq!(client.line()?, "hello");
        server.signal(Signal::SIGHUP)?;
        assert_eq!(server.connect()?.line()?, "hello", "{whose:?}");
        client.say("still here")?;
        assert_eq!(client.everything()?, "still here\n", "{whose:?}");
    }
    Ok(())
}
