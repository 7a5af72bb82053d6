//! Every SASL mechanism with whatever a client may answer: an exchange ends, it
//! names nobody who cannot be meant, and what it ends in becomes a record that
//! says the same.

#![no_main]

use authlib::Record;
use authlib::record::Claim;
use authlib::sasl::{Binding, BindingKind, Channel, Exchange, Hints, Mechanism, Step};
use authlib::scram::Salt;
use libfuzzer_sys::fuzz_target;

/// More messages than any mechanism takes.
const MESSAGES: usize = 4;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (number, initial, text) = input;
    let mechanism = Mechanism::ALL[usize::from(number) % Mechanism::ALL.len()];
    let binding = Binding { kind: BindingKind::TlsExporter, data: vec![7; 32] };
    let channel =
        Channel { bindings: vec![binding], offers_binding: false, certificate_name: Some(b"alice".to_vec()) };
    let exchange = Exchange::new(mechanism, b"host").expect("the kernel has randomness");
    let mut exchange = exchange.over(channel);
    let mut messages = text.split(|&octet| octet == b'\n').take(MESSAGES);
    let step = exchange.start(if initial { messages.next() } else { None });
    let mut step = salted(&mut exchange, step);
    for message in messages {
        let Step::Challenge(_) = step else { break };
        // As a line that is no base64 would come.
        step = if message == b"#" { exchange.undecodable() } else { exchange.respond(message) };
        step = salted(&mut exchange, step);
    }
    let record = match &step {
        Step::Credentials { user, password } => Record::login(b"pop3", user, password.expose()),
        Step::Proof(proof) => Record::proof(b"pop3", proof),
        Step::Token(bearer) => Record::token(b"pop3", bearer),
        Step::Vouched { user } => Record::external(b"pop3", user),
        Step::Challenge(_) => return,
        // Nobody guesses the nonce.
        Step::Salt(_) | Step::Scram(_) | Step::Accepted => panic!("nobody has proved anything"),
        Step::Aborted | Step::Failed | Step::Refused => {
            if let Some((mut refused, told)) = Exchange::refused(mechanism, &Hints::default()) {
                assert!(told.starts_with(b"{\"status\":") && matches!(refused.respond(text), Step::Refused));
            }
            assert!(matches!(exchange.respond(text), Step::Failed));
            return;
        }
    };
    let Ok(record) = record else { return };
    let again = Record::decode(record.encode().expose()).expect("a record can be read");
    match (step, again.claim()) {
        (Step::Credentials { user, password }, Some(Claim::Login(login))) => {
            assert_eq!((login.user, login.password), (user.as_slice(), password.expose()));
        }
        (Step::Proof(proof), Some(Claim::Proof(same))) => {
            assert_eq!((same.user(), same.challenge()), (proof.user(), proof.challenge()));
            assert_eq!(same.response().expose(), proof.response().expose());
            // Nobody guesses a digest, whatever is stored.
            assert!(!proof.is_of_password(text) && !proof.is_of_stored(Some(text)));
        }
        (Step::Token(bearer), Some(Claim::Token(same))) => {
            assert_eq!((same.user(), same.scheme()), (bearer.user(), bearer.scheme()));
            assert_eq!(same.token().expose(), bearer.token().expose());
        }
        (Step::Vouched { user }, None) => assert_eq!(again.vouched(), Some(user.as_slice())),
        _ => panic!("a record says something else than the exchange"),
    }
});

/// Names a salt where one is asked for, as a module would.
fn salted(exchange: &mut Exchange, step: Step) -> Step {
    let Step::Salt(wanted) = &step else { return step };
    let record = Record::salt(b"pop3", wanted).expect("a name that can be asked about");
    let again = Record::decode(record.encode().expose()).expect("a record can be read");
    assert_eq!(again.wanted_salt().as_ref(), Some(wanted));
    exchange.salt(&Salt::new(b"salt", 1).expect("a salt"))
}
