//! Sessions that are resumed: openssl(1) says whether they are.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::house::House;

/// A client with a session to resume, by a version of TLS and one of the ways in.
pub(crate) struct Client {
    version: &'static str,
    stls: bool,
    session: PathBuf,
}

/// All of them, each with a session of `house`.
pub(crate) fn clients(house: &mut House) -> Vec<Client> {
    let mut clients = Vec::new();
    for (version, stls) in [("-tls1_2", true), ("-tls1_2", false), ("-tls1_3", true), ("-tls1_3", false)] {
        let session = house.directory().join(format!("session{version}-{stls}"));
        let said = house.openssl(&[version, "-sess_out", session.to_str().unwrap()], stls);
        assert!(said.contains("\nNew, TLSv1.") && said.contains("+OK logged in."), "{said}\n{}", house.log());
        clients.push(Client { version, stls, session });
    }
    clients
}

/// Whether each of them resumes its session; all do, or none.
pub(crate) fn resume(house: &mut House, clients: &[Client]) -> bool {
    let mut reused = Vec::new();
    for Client { version, stls, session } in clients {
        let said = house.openssl(&[version, "-sess_in", session.to_str().unwrap()], *stls);
        assert!(said.contains("+OK logged in."), "{said}\n{}", house.log());
        reused.push(said.contains("\nReused, TLSv1."));
        assert!(reused.ends_with(&[true]) != said.contains("\nNew, TLSv1."), "{said}");
    }
    assert!(reused.iter().all(|one| *one == reused[0]), "{reused:?}\n{}", house.log());
    reused[0]
}

fn restart(house: &mut House) {
    let (chain, key) = house.certificates.server();
    house.serve_again(&chain, &key);
}

fn keys(house: &House) -> PathBuf {
    house.directory().join("stand/postrider/ticketkeys")
}

fn no_keys_there(directory: &Path) -> bool {
    fs::read_dir(directory)
        .unwrap()
        .all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("keys"))
}

#[test]
fn sessions_are_resumed_at_other_fronts_after_a_reload_and_after_a_restart() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    let clients = clients(&mut house);
    assert!(resume(&mut house, &clients));

    for pid in house.processes("postrider-front") {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    assert!(resume(&mut house, &clients), "at another front");

    kill(Pid::from_raw(house.service.pid().cast_signed()), Signal::SIGHUP).unwrap();
    house.until_log_has("INFO: the settings were read again and are in force", 1);
    assert!(resume(&mut house, &clients), "after a reload");

    restart(&mut house);
    assert!(resume(&mut house, &clients), "after a restart");

    fs::remove_file(keys(&house)).unwrap();
    restart(&mut house);
    assert!(!resume(&mut house, &clients), "after its keys were dropped");
}

#[test]
fn sessions_are_resumed_with_the_certificate_that_they_began_with_alone() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    let clients = clients(&mut house);
    let (chain, key) = house.certificates.client();
    house.serve_again(&chain, &key);
    assert!(!resume(&mut house, &clients));
}

#[test]
fn keys_in_memory_end_with_the_service_and_without_any_nothing_is_resumed() {
    for (tickets, resumed) in [("memory", true), ("off", false)] {
        let mut house = House::new(b"Subject: one\n\nhello\n", &[("POSTRIDER_TLS_TICKETS", tickets)]);
        let mut clients = clients(&mut house);
        if !resumed {
            // In version 1.3 there is nothing then that could be written.
            clients.retain(|client| client.session.exists());
        }
        assert!(clients.is_empty() || resume(&mut house, &clients) == resumed, "{tickets}");
        assert!(no_keys_there(keys(&house).parent().unwrap()));
        restart(&mut house);
        assert!(clients.is_empty() || !resume(&mut house, &clients), "{tickets}");
    }
}
