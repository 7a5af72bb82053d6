//! authcustom: nobody's accounts, in a chain. See [`programs::chain_module`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::chain_module::run("authcustom")
}
