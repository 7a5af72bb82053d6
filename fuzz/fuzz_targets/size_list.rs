//! The size list: whatever it holds, the maildrop opens, no unique-id is given
//! twice, and the next login gives the same ones.

#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use maildir::Maildir;

const MESSAGES: [&str; 4] = ["1000000001.a.h:2,", "1000000002.b.h:2,S", "1000000002.b.h", "x y 1 1:1:0:2,"];

/// The unique-ids of the Maildir at `path`, by message name.
fn unique_ids(path: &Path) -> Vec<(Vec<u8>, String)> {
    let maildir = Maildir::open(path).expect("the Maildir is there");
    let maildrop = maildir.open_maildrop(1_800_000_000, &mut |_| {}).expect("it opens");
    let ids =
        maildrop.places().map(|place| (maildrop.name(place).to_vec(), maildrop.unique_id(place).to_string()));
    ids.collect()
}

fuzz_target!(|list: &[u8]| {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let path = directory.path();
    for name in ["cur", "new", "tmp"] {
        fs::create_dir(path.join(name)).expect("a directory");
    }
    for name in MESSAGES {
        fs::write(path.join("cur").join(name), "Subject: x\n\nx\n").expect("a message");
    }
    fs::write(path.join("courierpop3dsizelist"), list).expect("the list");
    let first = unique_ids(path);
    assert_eq!(first.len(), MESSAGES.len());
    let mut distinct: Vec<_> = first.iter().map(|(_, id)| id).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), first.len(), "{first:?}");
    assert!(
        first.iter().all(|(_, id)| !id.is_empty() && id.bytes().all(|octet| (0x21..=0x7e).contains(&octet)))
    );
    assert_eq!(unique_ids(path), first);
});
