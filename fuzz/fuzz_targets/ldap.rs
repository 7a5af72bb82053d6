//! Answers of an LDAP server: whatever it sends is taken apart without harm, and
//! nothing is read beyond its end.

#![no_main]
#![allow(dead_code, reason = "only what reads is tried")]

#[path = "../../backends/authldap/src/ldap/ber.rs"]
mod ber;
#[path = "../../backends/authldap/src/ldap/entry.rs"]
mod entry;
#[path = "../../backends/authldap/src/ldap/message.rs"]
mod message;

use libfuzzer_sys::fuzz_target;

use entry::Entry;
use message::Answer;

fuzz_target!(|octets: &[u8]| {
    if let Ok(Some(length)) = ber::length(octets) {
        let mut reader = ber::Reader::new(octets);
        assert_eq!(reader.next().is_ok(), length <= octets.len());
    }
    let Ok(answer) = Answer::parse(octets) else { return };
    let within = |part: &[u8]| octets.as_ptr_range().contains(&part.as_ptr()) || part.is_empty();
    if let Ok(Some(cookie)) = answer.cookie() {
        assert!(within(cookie));
    }
    let _result = answer.result();
    if let Ok(entry) = Entry::parse(answer.content) {
        let _values = entry.values("mail").count();
    }
});
