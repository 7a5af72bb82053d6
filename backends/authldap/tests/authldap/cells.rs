//! The table of docs/authentication.md, as far as authldap is concerned.

use std::fs;
use std::path::Path;

use testbed::cells::Cells;
use testbed::slapd::{SUFFIX, Slapd};

use crate::house::{AUTHLDAP, is_possible};

#[test]
fn authldap() {
    if !is_possible() {
        return;
    }
    let cells = Cells::of(Path::new(AUTHLDAP)).unwrap();
    let ((uid, gid), home) = (cells.account().owner, cells.account().home.display());
    let alice = format!(
        "dn: cn=alice,{SUFFIX}\nobjectClass: mailAccount\nmail: alice\nclearPassword: secret\nhomeDir: {home}\n\
         mailUid: {uid}\nmailGid: {gid}\n"
    );
    let slapd = Slapd::start(&alice).unwrap();
    let settings = format!(
        "LDAP_URI {}\nLDAP_BASEDN {SUFFIX}\nLDAP_TIMEOUT 30\nLDAP_UID mailUid\nLDAP_GID mailGid\n\
         LDAP_CLEARPW clearPassword\n##NAME: MARKER:0\n",
        slapd.ldap()
    );
    fs::write(cells.configuration().join("authldaprc"), settings).unwrap();
    cells.play().unwrap();
}
