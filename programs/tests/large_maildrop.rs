//! A mailbox process, confined as it is, follows a large maildrop (ledger 334).

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::os::unix::fs::MetadataExt;

use house::House;
use testbed::maildrop::Change;

const MANY: usize = 600;

/// Changes what is in the account's Maildir, as other programs do.
fn change(house: &House, changes: impl IntoIterator<Item = Change>) {
    let account = house.stand.account();
    changes.into_iter().for_each(|change| change.apply(&account.maildir(), account.owner).unwrap());
}

fn delivery(number: usize) -> Change {
    Change::Write(format!("new/{}.host", 1_500_000_000 + number), b"Subject: x\n\n".to_vec())
}

/// The unique-ids that a session is told.
fn unique_ids(house: &mut House) -> Vec<String> {
    let mut client = house.log_in_again();
    let listing = client.listing("UIDL").unwrap();
    client.quit().unwrap();
    listing.iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

fn follows(mut house: House) {
    change(&house, (0..MANY).map(delivery));
    let before = unique_ids(&mut house);
    assert_eq!(before.len(), MANY + 1);
    let list = house.stand.account().maildir().join("courierpop3dsizelist");
    let inode = || fs::metadata(&list).unwrap().ino();
    let written = inode();

    change(&house, [Change::Remove("cur/1500000007.host:2,".to_owned()), delivery(MANY), delivery(MANY + 1)]);
    let after = unique_ids(&mut house);
    let kept: Vec<&String> = before[..8].iter().chain(&before[9..]).collect();
    assert_eq!(after[..MANY].iter().collect::<Vec<_>>(), kept);
    assert_eq!(after.len(), MANY + 2);
    assert!(after[MANY..].iter().all(|id| !before.contains(id)));
    assert_eq!(inode(), written, "the list was written anew");
    assert!(fs::read_to_string(&list).unwrap().contains("\n1500000007.host:2, "));
}

#[test]
fn a_process_of_a_uid_follows_a_large_maildrop() {
    follows(House::new());
}

#[test]
fn a_process_of_one_account_follows_it_too() {
    follows(House::new().served(&[("POSTRIDER_ISOLATION", "account")], &[]));
}
