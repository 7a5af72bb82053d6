//! Servers that are not there, go away, or talk nonsense: nobody is let in, and
//! nobody is turned away.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use testbed::pipe_program::PipeProgram;

use crate::house::{AUTHLDAP, House, alice, is_possible};
use crate::impostor::{Impostor, Then};

#[test]
fn a_server_that_is_down_cannot_tell_and_is_asked_again() {
    if !is_possible() {
        return;
    }
    let mut house = House::with(&alice());
    house.slapd.stop();
    let mut program = house.program("");
    assert_eq!(program.log_in("alice", "secret").unwrap(), "UNAVAILABLE\n");
    assert!(program.log().unwrap().contains("Connection refused"), "{}", program.log().unwrap());
    house.slapd.start_again().unwrap();
    assert!(program.lets_in("alice", "secret").unwrap());
}

#[test]
fn a_server_that_was_killed_between_two_logins_is_connected_to_again() {
    if !is_possible() {
        return;
    }
    let mut house = House::with(&alice());
    for settings in ["", "LDAP_AUTHBIND 1\nLDAP_FILTER (cn=nobody)"] {
        let mut program = house.program(settings);
        let first = program.log_in("alice", "secret").unwrap();
        house.slapd.stop();
        house.slapd.start_again().unwrap();
        assert_eq!(program.log_in("alice", "secret").unwrap(), first);
        house.slapd.stop();
        assert_eq!(program.log_in("alice", "secret").unwrap(), "UNAVAILABLE\n");
        house.slapd.start_again().unwrap();
        assert_eq!(program.log_in("alice", "secret").unwrap(), first);
    }
}

#[test]
fn the_next_server_of_the_list_is_asked_and_kept() {
    if !is_possible() {
        return;
    }
    let house = House::with(&alice());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("ldap://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let silent = Impostor::saying(&[], Then::Silence);
    let garbage = Impostor::saying(&[b"220 mail.example.com ESMTP\r\n"], Then::Silence);
    let list = [closed.as_str(), &silent.uri(), &garbage.uri(), &house.slapd.ldap()].join(", ");
    let mut program = house.program(&format!("LDAP_URI {list}\nLDAP_TIMEOUT 5"));
    for _ in 0..5 {
        assert!(program.lets_in("alice", "secret").unwrap());
    }
    // They were asked once, when the program got ready or at the first login.
    let heard = silent.heard();
    assert!(program.lets_in("alice", "secret").unwrap());
    assert_eq!(silent.heard(), heard);
}

/// An answer with the number `id`, of the kind `tag`.
fn answer(id: u8, tag: u8, content: &[u8]) -> Vec<u8> {
    let operation = [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let length = u8::try_from(operation.len() + 3).unwrap();
    [&[0x30, length, 0x02, 0x01, id], operation.as_slice()].concat()
}

const SUCCESS: &[u8] = b"\x0a\x01\x00\x04\x00\x04\x00";

#[test]
fn whatever_a_server_says_that_is_no_answer_is_unavailable() {
    if !is_possible() {
        return;
    }
    let house = House::with("");
    let done = answer(1, 0x65, SUCCESS);
    let entry = answer(1, 0x64, b"\x04\x04cn=x\x30\x00");
    let deep = [b"\x30\x83\x01\x86\xa0".as_slice(), &b"\x30\x83\x01\x86\x9b".repeat(3)].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("half an answer", done[..done.len() - 1].to_vec()),
        ("half an entry", entry[..entry.len() - 2].to_vec()),
        ("an entry and no end", entry.clone()),
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("zeros", vec![0; 5000]),
        ("ones", vec![0xff; 5000]),
        ("an answer without a number", b"\x30\x02\x65\x00".to_vec()),
        ("an empty message", b"\x30\x00".to_vec()),
        ("another's answer", answer(9, 0x65, SUCCESS)),
        ("another kind of answer", answer(1, 0x61, SUCCESS)),
        ("no kind of answer", answer(1, 0x79, SUCCESS)),
        ("an answer without a result", answer(1, 0x65, b"")),
        ("a negative result", answer(1, 0x65, b"\x0a\x01\xff\x04\x00\x04\x00")),
        ("a notice of disconnection", answer(0, 0x78, b"\x0a\x01\x34\x04\x00\x04\x00")),
        ("busy", answer(1, 0x65, b"\x0a\x01\x33\x04\x00\x04\x00")),
        ("unavailable", answer(1, 0x65, b"\x0a\x01\x34\x04\x00\x04\x00")),
        ("no such base", answer(1, 0x65, b"\x0a\x01\x20\x04\x00\x04\x00")),
        ("a referral", answer(1, 0x65, b"\x0a\x01\x0a\x04\x00\x04\x00\xa3\x0a\x04\x08ldap://x")),
        ("a reference alone", [answer(1, 0x73, b"\x04\x08ldap://x"), done.clone()].concat()),
        (
            "an entry without attributes' values",
            [answer(1, 0x64, b"\x04\x04cn=x\x30\x05\x30\x03\x04\x01a"), done.clone()].concat(),
        ),
        ("an entry that is none", [answer(1, 0x64, b"\x04\x04cn=x"), done.clone()].concat()),
        ("a large answer", b"\x30\x84\x7f\xff\xff\xff".to_vec()),
        ("a larger answer", b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        ("an answer of indefinite length", b"\x30\x80\x02\x01\x01".to_vec()),
        ("an answer in an answer", deep),
        ("two entries", [entry.clone(), entry, done].concat()),
    ];
    thread::scope(|scope| {
        for (what, said) in &cases {
            for then in [Then::Silence, Then::Goodbye] {
                let house = &house;
                scope.spawn(move || is_unavailable(house, what, said, then));
            }
        }
    });
}

fn is_unavailable(house: &House, what: &str, said: &[u8], then: Then) {
    let impostor = Impostor::saying(&[said, said], then);
    // Each in its own place: they are asked side by side.
    let directory = tempfile::tempdir().unwrap();
    let place = format!("LDAP_URI {}\nLDAP_TIMEOUT 1\nLDAP_AUTHBIND 1\nLDAP_CRYPTPW", impostor.uri());
    fs::write(directory.path().join("authldaprc"), house.authldaprc(&place)).unwrap();
    let mut program = PipeProgram::start(Path::new(AUTHLDAP), directory.path(), &[]).unwrap();
    for _ in 0..2 {
        assert_eq!(program.log_in("alice", "secret").unwrap(), "UNAVAILABLE\n", "{what}");
    }
    assert!(!program.log().unwrap().contains("secret"));
    let memory = program.most_memory().unwrap();
    assert!(memory < 64 * 1024, "{what}: {memory} KiB");
}

#[test]
fn a_server_that_ends_in_the_middle_of_a_list_leaves_it_without_an_end() {
    if !is_possible() {
        return;
    }
    let house = House::with("");
    let attributes = [
        attribute("mail", "alice"),
        attribute("homeDir", "/x"),
        attribute("mailUid", "5000"),
        attribute("mailGid", "5000"),
    ]
    .concat();
    let content =
        [b"\x04\x04cn=x\x30", [u8::try_from(attributes.len()).unwrap()].as_slice(), &attributes].concat();
    let entry = answer(1, 0x64, &content);
    for then in [Then::Silence, Then::Goodbye] {
        let impostor = Impostor::saying(&[&entry], then);
        let mut program = house.program(&format!("LDAP_URI {}\nLDAP_TIMEOUT 5", impostor.uri()));
        let error = program.ask(b"ENUMERATE\n").unwrap_err().to_string();
        assert!(error.contains("alice\\t5000\\t5000\\t/x"), "{error}");
        // Not a second time from the beginning.
        assert_eq!(error.matches("alice\\t").count(), 1, "{error}");
    }
}

fn attribute(name: &str, value: &str) -> Vec<u8> {
    let string = |tag: u8, octets: &[u8]| [&[tag, u8::try_from(octets.len()).unwrap()], octets].concat();
    let values = string(0x31, &string(0x04, value.as_bytes()));
    string(0x30, &[string(0x04, name.as_bytes()), values].concat())
}
