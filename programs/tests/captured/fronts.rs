//! Captured fronts.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use testbed::PATIENCE;

use crate::puppet::Captured;
use crate::wire::{Message, Ticket, Wire, credentials, question, refused, shown};

const FRONT: &str = "postrider-front";

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_front_without_a_password_has_nobody_let_in", guessed),
    ("a_ticket_is_good_once_and_with_a_descriptor", once),
    ("a_ticket_of_another_front_is_good_at_none", of_another),
    ("what_is_no_client_harms_nobody", no_client),
    ("a_front_that_talks_nonsense_to_the_monitor_is_ended_and_replaced", nonsense),
    ("auth_answers_a_front_about_credentials_and_nothing_else", other_questions),
    ("a_front_vouches_for_anybody_where_certificates_count_and_for_nobody_else", vouching),
    ("a_front_that_talks_nonsense_to_auth_is_not_heard_any_more", nonsense_to_auth),
    ("a_front_that_never_stops_holds_up_nobody", flood),
];

/// A captured front: its wires to the monitor and to auth.
struct Front {
    monitor: Wire,
    auth: Wire,
}

impl Front {
    fn next(captured: &mut Captured) -> Front {
        let monitor = captured.next();
        loop {
            let (message, descriptor) = monitor.receive().unwrap();
            if message[0] == b'W' {
                return Front { monitor, auth: Wire(descriptor.unwrap()) };
            }
        }
    }

    /// What auth says to a request.
    fn ask(&self, request: &[u8]) -> Vec<u8> {
        assert!(self.auth.send(&question(7, request), None));
        let (answer, _) = self.auth.receive().unwrap();
        assert_eq!(&answer[1..9], 7u64.to_le_bytes());
        answer
    }

    /// A ticket of the account, whose password it was told.
    fn ticket(&self) -> Ticket {
        let answer = self.ask(&credentials("secret"));
        assert_eq!(answer[0], b'+');
        answer[13..29].try_into().unwrap()
    }

    /// Whether the monitor lets in whom this front shows.
    fn show(&self, ticket: &Ticket, descriptor: Option<OwnedFd>) -> bool {
        let has_descriptor = descriptor.is_some();
        assert!(self.monitor.send(&shown("9", ticket), descriptor.as_ref().map(AsFd::as_fd)));
        // It hears only of those who are not let in, as this one is not.
        assert!(self.monitor.send(&shown("10", &[0xee; 16]), None));
        let mut is_in = true;
        loop {
            let (message, descriptor) = self.monitor.receive().unwrap();
            if message == refused("9") {
                assert_eq!(descriptor.is_some(), has_descriptor);
                is_in = false;
            }
            if message == refused("10") {
                return is_in;
            }
        }
    }
}

/// A client's two ends.
fn client() -> (UnixStream, Option<OwnedFd>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, Some(theirs.into()))
}

fn heard(mut client: &UnixStream) -> String {
    let mut buffer = [0; 512];
    let octets = client.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..octets]).into_owned()
}

/// Others are served, and the message is still there.
fn others_are_served(captured: &mut Captured) {
    let mut client = captured.house.log_in_again();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
}

fn guessed() {
    let mut captured = Captured::first(1, FRONT);
    let front = Front::next(&mut captured);
    for ticket in [[0; 16], [0xff; 16], [7; 16]] {
        assert!(!front.show(&ticket, client().1));
    }
    assert_eq!(front.ask(&credentials("wrong"))[0], b'-');
    assert!(captured.logs("a front has shown a ticket that is none", 0));
    others_are_served(&mut captured);
}

fn once() {
    let mut captured = Captured::first(1, FRONT);
    let front = Front::next(&mut captured);
    let ticket = front.ticket();
    let (ours, theirs) = client();
    assert!(front.show(&ticket, theirs));
    assert_eq!(heard(&ours), "+OK logged in.\r\n");
    assert!(!front.show(&ticket, client().1));
    // Shown without a descriptor it is used up as well.
    let ticket = front.ticket();
    assert!(!front.show(&ticket, None));
    assert!(!front.show(&ticket, client().1));
    others_are_served(&mut captured);
}

fn of_another() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        // There is one front.
        return;
    }
    let mut captured = Captured::first(2, FRONT);
    let (one, other) = (Front::next(&mut captured), Front::next(&mut captured));
    let ticket = one.ticket();
    assert!(!other.show(&ticket, client().1));
    assert!(!one.show(&ticket, client().1));
    assert!(one.show(&one.ticket(), client().1));
}

fn no_client() {
    let mut captured = Captured::first(1, FRONT);
    let front = Front::next(&mut captured);
    let file = captured.house.stand.account().home.join("file");
    fs::write(&file, "a file of somebody").unwrap();
    let (pipe, _writing) = std::io::pipe().unwrap();
    let (_reading, full) = std::io::pipe().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let strange: [OwnedFd; 5] = [
        File::options().read(true).write(true).open(&file).unwrap().into(),
        pipe.into(),
        full.into(),
        listener.into(),
        File::open("/dev/null").unwrap().into(),
    ];
    for descriptor in strange {
        front.show(&front.ticket(), Some(descriptor));
    }
    others_are_served(&mut captured);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file of somebody");
}

fn nonsense() {
    let good = shown("9", &[1; 16]);
    let longer = [good.as_slice(), b"x"].concat();
    let messages: [Vec<u8>; 6] = [
        b"?".to_vec(),
        good[..good.len() - 1].to_vec(),
        longer,
        Message::new(b'S').octets(b"short").0,
        // What auth says, and not a front.
        crate::wire::issued(&[3; 16], 1, (1000, 1000), "/"),
        vec![b'S'; 40 * 1024],
    ];
    let mut captured = Captured::first(messages.len(), FRONT);
    for (number, message) in messages.iter().enumerate() {
        let front = captured.next();
        assert!(front.send(message, None));
        // It is not spoken to any more: what was sent before is still there.
        while front.receive().is_some() {}
        assert!(captured.logs("a front is gone: ", number));
    }
    others_are_served(&mut captured);
}

fn other_questions() {
    let mut captured = Captured::first(1, FRONT);
    let front = Front::next(&mut captured);
    let passwd = "PASSWD pop3\talice\tsecret\tother\n";
    for request in [
        b"PRE . pop3 alice\n".as_slice(),
        b"ENUMERATE\n",
        passwd.as_bytes(),
        &vouched("alice"),
        b"",
        b"AUTH 99999999\n",
        b"nonsense\n",
    ] {
        let answer = front.ask(request);
        assert!(matches!(answer[0], b'?' | b'-'), "{:?}: {answer:?}", String::from_utf8_lossy(request));
        assert!(!answer.windows(5).any(|part| part == b"alice"));
    }
    others_are_served(&mut captured);
}

fn vouched(name: &str) -> Vec<u8> {
    let body = format!("pop3\nexternal\n{name}\n");
    format!("AUTH {}\n{body}", body.len()).into_bytes()
}

/// Only a front sees a client's certificate, so its word is taken for it. That is
/// as much as it can do: SECURITY.md says so.
fn vouching() {
    let mut captured = Captured::first_that_vouches(FRONT);
    let front = Front::next(&mut captured);
    let answer = front.ask(&vouched("alice"));
    assert_eq!(answer[0], b'+');
    assert!(front.show(&answer[13..29].try_into().unwrap(), client().1));
    for request in [vouched("root"), b"PRE . pop3 alice\n".to_vec(), b"ENUMERATE\n".to_vec()] {
        assert!(matches!(front.ask(&request)[0], b'?' | b'-'));
    }
    others_are_served(&mut captured);
}

fn nonsense_to_auth() {
    let good = question(7, &credentials("secret"));
    let messages = [b"?".to_vec(), good[..good.len() - 1].to_vec(), vec![b'Q'; 40 * 1024]];
    for message in messages {
        let mut captured = Captured::first(1, FRONT);
        let front = Front::next(&mut captured);
        assert!(front.auth.send(&message, None));
        assert!(front.auth.receive().is_none());
        others_are_served(&mut captured);
    }
}

fn flood() {
    let mut captured = Captured::first(1, FRONT);
    let front = Front::next(&mut captured);
    // Its answers are not taken.
    for _ in 0..5000 {
        if !front.monitor.send(&shown("9", &[1; 16]), None) {
            break;
        }
    }
    for number in 0..200 {
        front.auth.send(&question(number, &credentials("wrong")), None);
    }
    others_are_served(&mut captured);
}
