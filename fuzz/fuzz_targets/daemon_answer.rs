//! The client's side of authdaemond's socket: an account that was understood
//! is nobody's with root's ids, and is said again in the same way.

#![no_main]

use authlib::protocol::answer::{self, ListLine};
use authlib::{Options, Verdict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = (answer::is_complete(octets), answer::changed(octets));
    let stored = answer::stored_password(octets);
    if let Verdict::Accept(account) = answer::verdict(octets) {
        let found = account.stored_password.as_ref().map(|stored| stored.expose());
        assert_eq!(stored, found.filter(|stored| !stored.is_empty()));
        assert!(account.ids.uid() != 0 && account.ids.gid() != 0);
        let said = answer::account(&account, &Options::default()).expect("what came in lines goes in lines");
        let Verdict::Accept(again) = answer::verdict(&said) else { panic!("an account is one again") };
        assert_eq!(answer::account(&again, &Options::default()).expect("the same again"), said);
        assert!(answer::is_complete(&said));
    }
    if let Ok(ListLine::Account(entry)) = answer::list_line(octets)
        && let Some(line) = answer::entry(&entry)
    {
        let heard = answer::list_line(&line[..line.len() - 1]);
        assert_eq!(heard, Ok(ListLine::Account(entry)));
    }
});
