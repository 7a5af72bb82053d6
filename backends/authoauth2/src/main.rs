//! authoauth2: accounts by bearer token, as a link of a chain and kept alive.

use std::process::ExitCode;

use authoauth2::Oauth2;
use programs::{module_program, places};

fn main() -> ExitCode {
    module_program::run("authoauth2", Oauth2::of(places::configuration().join("authoauth2rc")))
}
