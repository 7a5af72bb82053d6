//! Unknown user, wrong password and locked account take the same time, over
//! authdaemond's socket.

use std::fs;
use std::path::Path;

use testbed::authdaemond::OurAuthdaemond;

use crate::house::{AUTHLDAP, House, as_reader, is_possible, person};

/// A hash that takes some milliseconds: one that is not computed would show.
const HASH: &str = "{CRYPT}$2b$07$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

#[test]
fn nobody_is_told_apart_by_the_time_of_a_rejection() {
    if !is_possible() {
        return;
    }
    let people = person("alice", &format!("cryptPassword: {HASH}"))
        + &person("locked", "cryptPassword: {CRYPT}*")
        + &person("without", "description: no password");
    let house = House::with(&people);
    let directory = tempfile::tempdir().unwrap();
    let authdaemond = testbed::cells::built_authdaemond(Path::new(AUTHLDAP)).unwrap();
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path()).unwrap();
    fs::write(daemon.configuration().join("authldaprc"), house.authldaprc(&as_reader())).unwrap();
    daemon.start("authmodulelist=authldap\ndaemons=1\nPOSTRIDER_FAILURES=0\n").unwrap();
    daemon.rejects_alike(&["alice", "nobody", "locked", "without"]).unwrap();
}
