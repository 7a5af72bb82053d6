//! The table of docs/authentication.md, as far as authpam is concerned.

use std::path::Path;

use crate::stand::{AUTHPAM, SHADOW, UNIX, is_here, service};
use testbed::cells::Cells;
use testbed::machine::Machine;

#[test]
fn authpam() {
    if !is_here() {
        return;
    }
    let cells = Cells::of(Path::new(AUTHPAM)).unwrap();
    let pam = cells.directory().join("pam.d");
    service(&pam, "pop3", UNIX);
    let machine = Machine::new().with_alice(cells.account(), SHADOW, cells.directory()).unwrap();
    let machine = machine.with(&pam, Path::new("/etc/pam.d"));
    cells.behind(&machine.words()).play().unwrap();
}
