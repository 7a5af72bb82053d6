//! Captured mailbox processes, and a captured auth.

use crate::puppet::Captured;
use crate::wire::{Message, issued, shown};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_mailbox_process_that_talks_nonsense_is_ended_and_replaced", mailbox),
    ("auth_cannot_make_anybody_root", auth),
];

fn mailbox() {
    let messages = [
        // What others say.
        issued(&[1; 16], 1, (1000, 1000), "/"),
        shown("1", &[1; 16]),
        Message::new(b'E').0,
    ];
    let mut captured = Captured::first(messages.len(), "postrider-mailbox");
    for (number, message) in messages.iter().enumerate() {
        let mut client = captured.house.service.connect().unwrap();
        std::io::Write::write_all(&mut client, b"USER alice\r\nPASS secret\r\n").unwrap();
        let wire = captured.next();
        // The session that it was given; ends of others are counted for nobody.
        assert_eq!(wire.receive().unwrap().0[0], b'G');
        for _ in 0..1000 {
            assert!(wire.send(&Message::new(b'E').number(12345).0, None));
        }
        assert!(wire.send(message, None));
        assert!(wire.receive().is_none());
        assert!(captured.logs("a mailbox process of uid", number));
    }
    let mut client = captured.house.log_in_again();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
}

fn auth() {
    let messages = [
        issued(&[1; 16], 1, (0, 1000), "/"),
        issued(&[1; 16], 1, (1000, 0), "/"),
        issued(&[1; 16], 1, (1000, 1000), "home"),
        shown("1", &[1; 16]),
        b"nonsense".to_vec(),
    ];
    let mut captured = Captured::first(messages.len(), "postrider-auth");
    for (number, message) in messages.iter().enumerate() {
        let wire = captured.next();
        assert!(wire.send(message, None));
        while wire.receive().is_some() {}
        assert!(captured.logs("auth is gone: ", number));
    }
    captured.house.log_in_again().quit().unwrap();
}
