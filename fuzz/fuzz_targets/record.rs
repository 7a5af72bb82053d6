//! The record on descriptor 3: decoding what anybody may have written there,
//! and what is decoded is handed on octet for octet.

#![no_main]

use authlib::Record;
use authlib::record::Claim;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(record) = Record::decode(octets) else { return };
    assert_eq!(record.encode().expose(), octets);
    if let Some(Claim::Proof(proof)) = record.claim() {
        let again = Record::proof(record.service(), &proof).ok();
        if let Some(Claim::Proof(same)) = again.as_ref().and_then(Record::claim) {
            assert_eq!((same.user(), same.challenge()), (proof.user(), proof.challenge()));
        }
    }
    if let Some(Claim::Token(bearer)) = record.claim() {
        let again = Record::token(record.service(), &bearer).ok();
        if let Some(Claim::Token(same)) = again.as_ref().and_then(Record::claim) {
            assert_eq!((same.user(), same.token().expose()), (bearer.user(), bearer.token().expose()));
        }
    }
    if let Some(login) = record.credentials() {
        assert!(!login.user.contains(&b'\n') && !login.password.contains(&b'\n'));
        if let Ok(again) = Record::login(record.service(), login.user, login.password) {
            let again = again.credentials().expect("a login record has credentials");
            assert_eq!((again.user, again.password), (login.user, login.password));
        }
    }
});
