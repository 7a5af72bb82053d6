//! The compiled userdb, damaged anywhere: a look-up ends, and nobody gets in
//! with a password that is not his.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use authlib::userdb::Userdb;
use authlib::userdb::database::Builder;
use authlib::{Record, Verdict};
use libfuzzer_sys::fuzz_target;

/// The two files as makeuserdb leaves them.
fn sound() -> &'static [Vec<u8>; 2] {
    static SOUND: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    SOUND.get_or_init(|| {
        [
            compile(b"uid=5000|gid=5000|home=/home/alice|_="),
            compile(b"systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1"),
        ]
    })
}

fn compile(value: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let path: PathBuf = directory.path().join("dat");
    let mut builder = Builder::create(&path, 0o600).expect("a data base");
    builder.insert(b"alice", value).expect("an entry");
    builder.insert(b"bob", value).expect("an entry");
    builder.finish().expect("a data base");
    fs::read(path).expect("its octets")
}

/// Octets put in other places' stead, and where the file is cut.
type Damage = (Vec<(u16, u8)>, Option<u16>);

fn damaged(file: &[u8], (octets, end): &Damage) -> Vec<u8> {
    let mut file = file.to_vec();
    for (place, octet) in octets {
        let place = usize::from(*place) % file.len();
        file[place] = *octet;
    }
    file.truncate(end.map_or(file.len(), usize::from));
    file
}

fuzz_target!(|damage: (Damage, Damage)| {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let userdb = Userdb::of(&directory.path().join("userdb"));
    let [public, shadow] = sound();
    fs::write(&userdb.public, damaged(public, &damage.0)).expect("userdb.dat");
    fs::write(&userdb.shadow, damaged(shadow, &damage.1)).expect("userdbshadow.dat");
    let record = Record::login(b"pop3", b"alice", b"no such password").expect("a record");
    assert!(!matches!(userdb.check(&record), Verdict::Accept(_)));
});
