//! The exchange, with the examples of the RFCs and without.

use super::{Run, State};
use crate::sasl::{Binding, BindingKind, Channel, Exchange, Mechanism, Step};
use crate::scram::client::{self, RFC};
use crate::scram::{Proof, Salt};
use crate::scram_keys::Hash;
use proptest::prelude::*;

fn salt() -> Salt {
    Salt::new(b"salt of somebody", 4096).unwrap()
}

fn exchange(mechanism: Mechanism, channel: &Channel) -> Exchange {
    Exchange::new(mechanism, b"host").unwrap().over(channel.clone())
}

fn plain() -> Exchange {
    exchange(Mechanism::Scram(Hash::Sha256), &Channel::default())
}

fn bound() -> Channel {
    let exported = Binding { kind: BindingKind::TlsExporter, data: vec![7; 32] };
    let end_point = Binding { kind: BindingKind::TlsServerEndPoint, data: vec![8; 32] };
    Channel { bindings: vec![exported, end_point], offers_binding: true, ..Channel::default() }
}

/// What the server answers to `message` with a salt.
fn challenged(exchange: &mut Exchange, message: &str) -> Vec<u8> {
    let step = exchange.start(Some(message.as_bytes()));
    let Step::Salt(_) = step else { panic!("{message}: {step:?}") };
    let Step::Challenge(challenge) = exchange.salt(&salt()) else { panic!() };
    challenge
}

/// The proof of a client that logs in as `user` behind `header`.
fn prove(exchange: &mut Exchange, header: &str, data: &[u8]) -> Step {
    let challenge = challenged(exchange, &format!("{header}n=user,r=abc"));
    let binding = [header.as_bytes(), data].concat();
    exchange.respond(&client::last(Hash::Sha256, &binding, "n=user,r=abc", &challenge, b"pencil"))
}

fn verify(step: Step) -> Option<Vec<u8>> {
    match step {
        Step::Scram(proof) => proof.verify(None, Some(b"pencil")),
        _ => None,
    }
}

#[test]
fn the_conversations_of_the_rfcs_are_spoken_word_for_word() {
    for conversation in &RFC {
        let [bare, server_first, last] = conversation.messages;
        let text = |message: &str| message.split(',').next().unwrap().to_owned();
        let nonces = [text(bare.split_once(',').unwrap().1), text(server_first)];
        let ours = nonces[1].strip_prefix(&nonces[0]).unwrap().to_owned();
        let mut run = Run { hash: conversation.hash, plus: false, nonce: ours, state: State::ClientFirst };
        let channel = Channel::default();
        let Step::Salt(wanted) = run.respond(format!("n,,{bare}").as_bytes(), &channel) else { panic!() };
        assert_eq!((wanted.hash, wanted.user.as_slice()), (conversation.hash, b"user".as_slice()));
        let salt = Salt::of_server_first(server_first.as_bytes()).unwrap();
        let Step::Challenge(challenge) = run.salt(&salt) else { panic!() };
        assert_eq!(challenge, server_first.as_bytes());
        let Step::Scram(proof) = run.respond(last.as_bytes(), &channel) else { panic!() };
        let signature = proof.verify(None, Some(b"pencil")).unwrap();
        let Step::Challenge(challenge) = run.signed(&signature) else { panic!() };
        assert_eq!(challenge, format!("v={}", conversation.signature).as_bytes());
        assert!(matches!(run.respond(b"", &channel), Step::Accepted));
        assert!(matches!(run.respond(b"", &channel), Step::Failed));
    }
}

#[test]
fn a_client_that_sends_nothing_first_is_asked_for_its_message() {
    let mut exchange = plain();
    assert!(matches!(exchange.start(None), Step::Challenge(challenge) if challenge.is_empty()));
    assert!(matches!(exchange.respond(b"n,,n=user,r=abc"), Step::Salt(_)));
}

#[test]
fn names_are_unescaped_and_may_be_said_twice() {
    for (message, name) in [
        ("n,,n=a=2Cb=3Dc,r=abc", "a,b=c"),
        ("n,a=user,n=user,r=abc", "user"),
        ("n,a==2C,n==2C,r=abc", ","),
        ("y,,n=us\u{e9}r x,r=abc,x=1,Z=more", "us\u{e9}r x"),
    ] {
        let Step::Salt(wanted) = plain().start(Some(message.as_bytes())) else { panic!("{message}") };
        assert_eq!(wanted.user, name.as_bytes());
    }
}

#[test]
fn a_first_message_of_another_form_is_aborted() {
    for message in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,r=abc,n=user",
        "n,,n=user,r=",
        "n,,n=user,r=a\x7f",
        "n,,m=x,n=user,r=abc",
        "n,,n=user,r=abc,m=x",
        "n,,n=user,r=abc,",
        "n,,n=user,r=abc,x",
        "n,,n=user,r=abc,x=",
        "n,,n=us=er,r=abc",
        "n,,n=user=2c,r=abc",
        "n,user,n=user,r=abc",
        "n,a=u=,n=user,r=abc",
        "x,,n=user,r=abc",
        "N,,n=user,r=abc",
        ",,n=user,r=abc",
        "n,,n=user,r=a b",
    ] {
        let step = plain().start(Some(message.as_bytes()));
        assert!(matches!(step, Step::Aborted), "{message}: {step:?}");
    }
    assert!(matches!(plain().start(Some(b"n,,n=us\xffer,r=abc")), Step::Aborted));
    let long = format!("n,,n=user,r={}", "a".repeat(513));
    assert!(matches!(plain().start(Some(long.as_bytes())), Step::Aborted));
}

#[test]
fn nobody_and_somebody_else_fail() {
    for message in
        ["n,,n=,r=abc", "n,a=bob,n=user,r=abc", "n,a=,n=user,r=abc", "n,,n=us\ner,r=abc", "n,,n=us\0er,r=abc"]
    {
        let step = plain().start(Some(message.as_bytes()));
        assert!(matches!(step, Step::Failed), "{message}: {step:?}");
    }
}

#[test]
fn a_channel_binds_with_each_of_its_types() {
    for (kind, data) in [("tls-exporter", [7; 32]), ("tls-server-end-point", [8; 32])] {
        let mut exchange = exchange(Mechanism::ScramPlus(Hash::Sha256), &bound());
        assert!(verify(prove(&mut exchange, &format!("p={kind},,"), &data)).is_some(), "{kind}");
    }
}

#[test]
fn the_data_of_another_channel_and_other_flags_fail() {
    let plus = || exchange(Mechanism::ScramPlus(Hash::Sha256), &bound());
    assert!(matches!(prove(&mut plus(), "p=tls-exporter,,", &[8; 32]), Step::Failed));
    assert!(matches!(prove(&mut plus(), "p=tls-exporter,,", b""), Step::Failed));
    let first =
        |mut exchange: Exchange, flag: &str| exchange.start(Some(format!("{flag},,n=user,r=abc").as_bytes()));
    for flag in ["n", "y", "p=tls-unique", "p=", "p=TLS-EXPORTER"] {
        assert!(matches!(first(plus(), flag), Step::Failed), "{flag}");
    }
    assert!(matches!(first(plain(), "p=tls-exporter"), Step::Failed));
    let unbound = exchange(Mechanism::ScramPlus(Hash::Sha256), &Channel::default());
    assert!(matches!(first(unbound, "p=tls-exporter"), Step::Failed));
}

#[test]
fn who_believes_that_we_cannot_bind_was_lied_to_or_is_right() {
    let mut offered = exchange(Mechanism::Scram(Hash::Sha256), &bound());
    assert!(matches!(offered.start(Some(b"y,,n=user,r=abc")), Step::Failed));
    let mut cannot = exchange(Mechanism::Scram(Hash::Sha256), &bound());
    assert!(matches!(cannot.start(Some(b"n,,n=user,r=abc")), Step::Salt(_)));
    assert!(verify(prove(&mut plain(), "y,,", b"")).is_some());
}

#[test]
fn a_last_message_that_is_not_of_this_exchange_fails() {
    let answer = |change: &dyn Fn(&str, &str) -> String| {
        let mut exchange = plain();
        let challenge = challenged(&mut exchange, "n,,n=user,r=abc");
        let last = client::last(Hash::Sha256, b"n,,", "n=user,r=abc", &challenge, b"pencil");
        let last = String::from_utf8(last).unwrap();
        let nonce = last.split(',').nth(1).unwrap().to_owned();
        exchange.respond(change(&last, &nonce).as_bytes())
    };
    assert!(verify(answer(&|last, _| last.to_owned())).is_some());
    assert!(matches!(answer(&|last, nonce| last.replace(nonce, "r=abc")), Step::Failed));
    assert!(matches!(answer(&|last, nonce| last.replace(nonce, &format!("{nonce}x"))), Step::Failed));
    assert!(matches!(answer(&|last, _| last.replace("c=biws", "c=eSws")), Step::Failed));
    assert!(matches!(answer(&|last, _| last.replace("c=biws", "c=")), Step::Failed));
    // The proof is of another message then, or no proof at all.
    assert!(verify(answer(&|last, _| last.replace(",p=", ",x=1,p="))).is_none());
    assert!(matches!(answer(&|last, _| last[..last.len() - 4].to_owned()), Step::Failed));
    assert!(matches!(answer(&|last, _| last[..last.len() - 3].to_owned()), Step::Aborted));
    for malformed in ["", "c=biws", "c=biws,r=abc", "p=AAAA", "r=abc,c=biws,p=AAAA", "c=#,r=abc,p=AAAA"] {
        assert!(matches!(answer(&|_, _| malformed.to_owned()), Step::Aborted), "{malformed}");
    }
    assert!(matches!(answer(&|last, _| last.replace(",p=", ",m=1,p=")), Step::Aborted));
}

#[test]
fn a_conversation_cannot_be_played_again() {
    let mut first = plain();
    let challenge = challenged(&mut first, "n,,n=user,r=abc");
    let last = client::last(Hash::Sha256, b"n,,", "n=user,r=abc", &challenge, b"pencil");
    assert!(matches!(first.respond(&last), Step::Scram(_)));
    let mut second = plain();
    assert_ne!(challenged(&mut second, "n,,n=user,r=abc"), challenge);
    assert!(matches!(second.respond(&last), Step::Failed));
}

#[test]
fn nothing_is_accepted_out_of_turn() {
    assert!(matches!(plain().salt(&salt()), Step::Failed));
    assert!(matches!(plain().signed(b"signature"), Step::Failed));
    let mut impatient = plain();
    challenged(&mut impatient, "n,,n=user,r=abc");
    assert!(matches!(impatient.signed(b"signature"), Step::Failed));
    let mut proved = plain();
    assert!(matches!(prove(&mut proved, "n,,", b""), Step::Scram(_)));
    assert!(matches!(proved.respond(b""), Step::Failed));
    let mut talkative = plain();
    assert!(matches!(prove(&mut talkative, "n,,", b""), Step::Scram(_)));
    assert!(matches!(talkative.signed(b"signature"), Step::Challenge(_)));
    assert!(matches!(talkative.respond(b"thanks"), Step::Aborted));
    assert!(matches!(talkative.respond(b""), Step::Failed));
}

proptest! {
    #[test]
    fn any_message_at_any_time_does_no_harm(
        plus in any::<bool>(),
        messages in prop::collection::vec("([nypcrasimv=,:/+A-Z]{0,60}|n,,n=user,r=abc|c=biws,r=abc,p=AAAA)", 1..5),
    ) {
        let mechanism = if plus { Mechanism::ScramPlus(Hash::Sha1) } else { Mechanism::Scram(Hash::Sha1) };
        let mut exchange = exchange(mechanism, &bound());
        for message in messages {
            match exchange.respond(message.as_bytes()) {
                Step::Salt(wanted) => {
                    prop_assert!(!wanted.user.is_empty());
                    prop_assert!(matches!(exchange.salt(&salt()), Step::Challenge(_)));
                }
                // Nobody guesses the nonce.
                Step::Challenge(_) | Step::Aborted | Step::Failed => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn whatever_a_client_is_called_its_password_decides(
        user in "[ -~é]{1,30}",
        nonce in "[!-+\\--~]{1,30}",
        password in "[ -~]{1,30}",
        right in any::<bool>(),
    ) {
        let bare = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
        let mut exchange = plain();
        let challenge = challenged(&mut exchange, &format!("n,,{bare}"));
        let last = client::last(Hash::Sha256, b"n,,", &bare, &challenge, password.as_bytes());
        let Step::Scram(proof) = exchange.respond(&last) else { panic!() };
        prop_assert_eq!(proof.user(), user.as_bytes());
        let stored = if right { password.clone() } else { format!("{password}x") };
        let signature: Option<Vec<u8>> = Proof::verify(&proof, None, Some(stored.as_bytes()));
        prop_assert_eq!(signature.is_some(), right);
    }
}
