//! makeuserdb. See [`programs::makeuserdb`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::makeuserdb::run()
}
