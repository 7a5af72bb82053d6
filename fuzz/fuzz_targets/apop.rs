//! APOP with whatever a client may say: its answer survives its record, names
//! somebody, and proves nothing.

#![no_main]

use authlib::Record;
use authlib::apop::Proof;
use authlib::record::Claim;
use libfuzzer_sys::fuzz_target;
use pop3::{Authorization, AuthorizationAction as Action, Line, Offer};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (text, password) = input;
    let timestamp = b"<1896.697170952@dbc.mtview.ca.us>";
    let offer = Offer { timestamp: Some(timestamp.to_vec()), ..Offer::default() };
    let line = [b"APOP ", text].concat();
    let mut out = Vec::new();
    let Action::Apop { user, digest } = Authorization::new(offer).line(&Line::Text(&line), &mut out) else {
        assert!(out.starts_with(b"-ERR "));
        return;
    };
    let Some(proof) = Proof::new(timestamp, &user, digest.expose()) else { return };
    assert!(!user.is_empty() && !user.iter().any(u8::is_ascii_control));
    assert!(!proof.verify(Some(password), Some(password)) && !proof.verify(None, None));
    let Ok(record) = Record::apop(b"pop3", &proof) else { return };
    let again = Record::decode(record.encode().expose()).expect("a record can be read");
    let Some(Claim::Apop(same)) = again.claim() else { panic!("a record says something else") };
    assert_eq!((same.user(), same.timestamp()), (proof.user(), proof.timestamp()));
    assert_eq!(same.response().expose(), proof.response().expose());
});
