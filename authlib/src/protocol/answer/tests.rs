//! Answers as Courier's authdaemond writes them, and octets that are none.

use super::{ListLine, account, changed, entry, is_complete, list_line, refusal, stored_password};
use crate::module::{Changed, Entry};
use crate::{Account, Options, Unavailable, Verdict};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

const BOB: &[u8] = b"UID=5000\nGID=5001\nHOME=/home/bob\nADDRESS=bob@example.com\nNAME=Bob Builder\n\
        MAILDIR=Maildir\nQUOTA=100000S,100C\nPASSWD={SHA256}K7gNU3s=\nPASSWD2=secret\n\
        OPTIONS=disableinsecurepop3=0,foo=bar\n.\n";

fn verdict(octets: &[u8]) -> Result<Option<Account>, Unavailable> {
    match super::verdict(octets) {
        Verdict::Accept(account) => Ok(Some(account)),
        Verdict::Reject => Ok(None),
        Verdict::Unavailable(reason) => Err(reason),
    }
}

#[test]
fn every_attribute_finds_its_place() {
    let account = verdict(BOB).unwrap().unwrap();
    assert_eq!(account.address, b"bob@example.com");
    assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
    assert_eq!(account.home, Path::new("/home/bob"));
    assert_eq!(account.maildir.as_deref(), Some(Path::new("Maildir")));
    assert_eq!(account.quota.as_deref(), Some(b"100000S,100C".as_slice()));
    assert_eq!(account.full_name.as_deref(), Some(b"Bob Builder".as_slice()));
    assert_eq!(account.options.as_bytes(), b"disableinsecurepop3=0,foo=bar");
    assert_eq!(account.stored_password.unwrap().expose(), b"{SHA256}K7gNU3s=");
    assert_eq!(account.clear_password.unwrap().expose(), b"secret");
}

#[test]
fn an_account_is_said_again_as_it_was_heard() {
    let bob = verdict(BOB).unwrap().unwrap();
    assert_eq!(account(&bob, &Options::default()).unwrap().as_slice(), BOB);
    let least = b"UID=1\nGID=2\nHOME=/\nADDRESS=a\n.\n";
    let with_defaults = account(&verdict(least).unwrap().unwrap(), &Options::parse(b"x=1")).unwrap();
    assert_eq!(with_defaults.as_slice(), b"UID=1\nGID=2\nHOME=/\nADDRESS=a\nOPTIONS=x=1\n.\n");
    let gid = system::user::by_name("nobody").unwrap().unwrap().1;
    let system_user = format!("USERNAME=nobody\nGID={gid}\nHOME=/\nADDRESS=a\n.\n");
    let nobody = verdict(system_user.as_bytes()).unwrap().unwrap();
    assert_eq!(account(&nobody, &Options::default()).unwrap().as_slice(), system_user.as_bytes());
}

#[test]
fn the_full_name_ends_at_its_first_comma_and_no_value_ends_a_line() {
    let mut bob = verdict(BOB).unwrap().unwrap();
    bob.full_name = Some(b"Bob Builder,Office,,".to_vec());
    assert_eq!(account(&bob, &Options::default()).unwrap().as_slice(), BOB);
    bob.quota = Some(b"1S\nUID=0".to_vec());
    assert!(account(&bob, &Options::default()).is_err());
}

#[test]
fn a_list_is_said_again_as_it_was_heard() {
    let line = b"alice\t5000\t5001\t/home/alice\t/home/alice/Maildir\ta=1,b";
    let Ok(ListLine::Account(alice)) = list_line(line) else { panic!() };
    assert_eq!((alice.uid, alice.gid), (5000, 5001));
    assert_eq!(entry(&alice).unwrap(), [line.as_slice(), b"\n"].concat());
    let Ok(ListLine::Account(bob)) = list_line(b"bob\t1\t1\t/\t") else { panic!() };
    assert_eq!(entry(&bob).unwrap(), b"bob\t1\t1\t/\t\t\n");
    assert_eq!(list_line(b"# authuserdb"), Ok(ListLine::Heading));
    assert_eq!(list_line(b"."), Ok(ListLine::End));
    for line in [b"alice".as_slice(), b"a\tb\tc\td\te", b"a\t1\t1\t/\t\t\t", b"FAIL", b"..", b"a\t1\t-1\t/\t"]
    {
        assert!(list_line(line).is_err(), "{line:?}");
    }
    for name in [b"".as_slice(), b"#x", b"a\tb", b"a\nb"] {
        assert_eq!(entry(&Entry { name: name.to_vec(), ..alice.clone() }), None);
    }
}

#[test]
fn a_refusal_is_no_rejection_and_says_for_how_long() {
    let said = refusal(57);
    assert_eq!(said, b"REFUSED 57\n");
    assert!(is_complete(&said) && !is_complete(b"REFUSED 57"));
    let reason = verdict(&said).unwrap_err();
    assert_eq!(reason, Unavailable::after_too_many_failures(Duration::from_secs(57)));
    for octets in
        [b"REFUSED \n".as_slice(), b"REFUSED -1\n", b"REFUSED 1\n1\n", b"REFUSED 99999999999999999999\n"]
    {
        let reason = verdict(octets).unwrap_err();
        assert!(!reason.is_after_too_many_failures(), "{octets:?}");
    }
}

#[test]
fn the_stored_password_of_an_account_is_found() {
    assert_eq!(stored_password(BOB), Some(b"{SHA256}K7gNU3s=".as_slice()));
    for octets in [
        b"FAIL\n".as_slice(),
        b"",
        b"PASSWD=x\n",
        b"PASSWD=\n.\n",
        b"PASSWD2=x\n.\n",
        b"PASSWD=x\nPASSWD=y\n.\n",
    ] {
        assert_eq!(stored_password(octets), None, "{octets:?}");
    }
}

#[test]
fn only_ok_is_a_changed_password() {
    assert_eq!(changed(b"OK\n"), Changed::Done);
    assert_eq!(changed(b"FAIL\n"), Changed::Reject);
    for octets in [b"".as_slice(), b"OK", b"OK\nx", b"UNAVAILABLE\n", b".\n", b"UID=1\n.\n"] {
        assert!(matches!(changed(octets), Changed::Unavailable(_)), "{octets:?}");
    }
}

#[test]
fn a_system_users_ids_are_looked_up() {
    let account = verdict(b"USERNAME=nobody\nGID=1\nHOME=/\nADDRESS=x\n.\n").unwrap().unwrap();
    assert_eq!(Some((account.ids.uid(), account.ids.gid())), system::user::by_name("nobody").unwrap());
    assert!(verdict(b"USERNAME=root\nGID=1\nHOME=/\nADDRESS=x\n.\n").is_err());
    assert!(verdict(b"USERNAME=\xff\nGID=1\nHOME=/\nADDRESS=x\n.\n").is_err());
}

#[test]
fn an_account_that_lacks_something_or_is_root_is_unusable() {
    for answer in [
        "GID=1\nHOME=/h\nADDRESS=a\n.\n",
        "UID=1\nHOME=/h\nADDRESS=a\n.\n",
        "UID=1\nGID=1\nADDRESS=a\n.\n",
        "UID=1\nGID=1\nHOME=\nADDRESS=a\n.\n",
        "UID=1\nGID=1\nHOME=/h\n.\n",
        "UID=0\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
        "UID=1\nGID=0\nHOME=/h\nADDRESS=a\n.\n",
        "UID=\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
        "UID=x\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
        "UID=1\nUID=2\nGID=1\nHOME=/h\nADDRESS=a\n.\n",
        ".\n",
    ] {
        assert!(verdict(answer.as_bytes()).is_err(), "{answer:?}");
    }
}

#[test]
fn anything_but_a_whole_answer_is_neither_yes_nor_no() {
    for answer in [
        "",
        "FAIL",
        "FAIL\nFAIL\n",
        "OK\n",
        "UNAVAILABLE\n",
        "fail\n",
        "\n.\n",
        "UID=1\nGID=1\nHOME=/h\nADDRESS=a\n.",
    ] {
        assert!(verdict(answer.as_bytes()).is_err(), "{answer:?}");
    }
    assert!(matches!(verdict(b"FAIL\n"), Ok(None)));
}

proptest! {
    #[test]
    fn a_cut_answer_is_never_an_account(cut in 0..BOB.len()) {
        prop_assert!(!is_complete(&BOB[..cut]));
        prop_assert!(verdict(&BOB[..cut]).is_err());
    }

    #[test]
    fn no_answer_does_harm(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (is_complete(&octets), verdict(&octets), changed(&octets), list_line(&octets));
    }

    #[test]
    fn no_account_is_ever_root(uid in "[0-9a]{0,11}", gid in "[0-9a]{0,11}") {
        let answer = format!("UID={uid}\nGID={gid}\nHOME=/h\nADDRESS=a\n.\n");
        if let Ok(Some(account)) = verdict(answer.as_bytes()) {
            prop_assert!(account.ids.uid() != 0 && account.ids.gid() != 0);
        }
    }
}
