//! The table of docs/authentication.md, as far as the modules of this package
//! are concerned.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testbed::cells::Cells;

#[test]
fn authuserdb() {
    let cells = Cells::of(Path::new(env!("CARGO_BIN_EXE_authuserdb"))).unwrap();
    let userdb = cells.configuration().join("userdb");
    fs::write(&userdb, cells.account().record(&["pop3pw={PLAIN}secret".to_owned()])).unwrap();
    fs::set_permissions(&userdb, Permissions::from_mode(0o600)).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_makeuserdb")).arg("-f").arg(&userdb).status().unwrap();
    assert!(status.success());
    cells.play().unwrap();
}
