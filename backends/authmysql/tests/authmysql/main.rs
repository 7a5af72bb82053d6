//! authmysql with the real server, which all tests of this program share.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod ways;

use std::process::ExitCode;

use testbed::Outcome;
use testbed::mariadb::Mariadb;
use testbed::sql::{self, Test};

const PROGRAM: &str = env!("CARGO_BIN_EXE_authmysql");

/// The tests that are MySQL's alone.
const OWN: &[Test<Mariadb>] = &[
    ("sockets_networks_and_tls", ways::sockets_networks_and_tls),
    ("the_name_of_the_server_is_verified", ways::the_name_of_the_server_is_verified),
    (
        "the_character_set_is_utf_8_or_what_the_settings_say",
        ways::the_character_set_is_utf_8_or_what_the_settings_say,
    ),
    ("columns_of_any_type", ways::columns_of_any_type),
    ("a_hash_that_has_no_room_is_not_cut", ways::a_hash_that_has_no_room_is_not_cut),
];

fn main() -> Outcome<ExitCode> {
    sql::run(PROGRAM, OWN)
}
