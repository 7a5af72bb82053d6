//! SCRAM from its first message to its last, with whatever a client may say:
//! what comes to a proof is about the user of the beginning, survives its
//! record, and proves nothing.
//!
//! `@` in the second message is the nonce, which no fuzzer would guess, and `#`
//! the binding that is right.

#![no_main]

use authlib::Record;
use authlib::record::Claim;
use authlib::sasl::{Binding, BindingKind, Channel, Exchange, Mechanism, Step};
use authlib::scram::Salt;
use authlib::scram_keys::Hash;
use libfuzzer_sys::fuzz_target;

/// `p=tls-exporter,,` and seven octets 7, in base64, and `n,,`.
const BINDINGS: [&[u8]; 2] = [b"biws", b"cD10bHMtZXhwb3J0ZXIsLAcHBwcHBwc="];

fuzz_target!(|input: (bool, bool, &[u8], &[u8])| {
    let (sha1, plus, first, last) = input;
    let hash = if sha1 { Hash::Sha1 } else { Hash::Sha256 };
    let mechanism = if plus { Mechanism::ScramPlus(hash) } else { Mechanism::Scram(hash) };
    let binding = Binding { kind: BindingKind::TlsExporter, data: vec![7; 7] };
    let channel = Channel { bindings: vec![binding], offers_binding: plus, certificate_name: None };
    let mut exchange = Exchange::new(mechanism, b"host").expect("randomness").over(channel);

    let Step::Salt(wanted) = exchange.start(Some(first)) else { return };
    assert!(!wanted.user.is_empty() && !wanted.user.iter().any(u8::is_ascii_control));
    let asked = Record::salt(b"pop3", &wanted).expect("a name that can be asked about");
    let again = Record::decode(asked.encode().expose()).expect("a record can be read");
    assert_eq!(again.wanted_salt().as_ref(), Some(&wanted));
    let salt = Salt::new(b"salt", 4096).expect("a salt");
    let Step::Challenge(challenge) = exchange.salt(&salt) else { panic!("nothing follows the salt") };

    let nonce = challenge.split(|&octet| octet == b',').next().and_then(|nonce| nonce.strip_prefix(b"r="));
    let nonce = nonce.expect("server-first begins with the nonce");
    let mut message = Vec::new();
    for &octet in last {
        match octet {
            b'@' => message.extend_from_slice(nonce),
            b'#' => message.extend_from_slice(BINDINGS[usize::from(plus)]),
            other => message.push(other),
        }
    }
    let Step::Scram(proof) = exchange.respond(&message) else { return };
    assert_eq!((proof.user(), proof.hash()), (wanted.user.as_slice(), hash));
    assert!(proof.verify(None, None).is_none() && proof.verify(Some(last), Some(first)).is_none());
    let Ok(record) = Record::scram(b"pop3", &proof) else { return };
    let again = Record::decode(record.encode().expose()).expect("a record can be read");
    let Some(Claim::Scram(same)) = again.claim() else { panic!("a record says something else") };
    assert_eq!((same.user(), same.messages()), (proof.user(), proof.messages()));
    assert_eq!(same.proof().expose(), proof.proof().expose());
    assert!(matches!(exchange.respond(b""), Step::Failed));
});
