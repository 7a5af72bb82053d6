//! authpgsql with the real server, which all tests of this program share.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod columns;
mod logins;
mod ways;

use std::process::ExitCode;

use testbed::Outcome;
use testbed::postgres::Postgres;
use testbed::sql::{self, Test};

const PROGRAM: &str = env!("CARGO_BIN_EXE_authpgsql");

/// The tests that are PostgreSQL's alone.
const OWN: &[Test<Postgres>] = &[
    ("ten_thousand_logins_a_hundred_at_once_lose_none", logins::ten_thousand_a_hundred_at_once_lose_none),
    ("sockets_networks_and_uris", ways::sockets_networks_and_uris),
    ("the_environment_and_password_files", ways::the_environment_and_password_files),
    ("tls_as_sslmode_says", ways::tls_as_sslmode_says),
    ("through_a_pooler_of_transactions", ways::through_a_pooler_of_transactions),
    ("only_the_servers_that_are_wanted", ways::only_the_servers_that_are_wanted),
    ("what_cannot_be_honoured_is_said_at_the_start", ways::what_cannot_be_honoured_is_said_at_the_start),
    ("columns_of_any_type", columns::columns_of_any_type),
    ("a_name_that_no_column_could_hold_is_nobodys", columns::a_name_that_no_column_could_hold_is_nobodys),
    (
        "the_encoding_is_utf_8_or_what_the_settings_say",
        columns::the_encoding_is_utf_8_or_what_the_settings_say,
    ),
];

fn main() -> Outcome<ExitCode> {
    sql::run(PROGRAM, OWN)
}
