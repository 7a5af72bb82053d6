//! postrider-proxy: sessions of accounts whose mail is on another server (see
//! [`programs::service::proxy`]).

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::proxy::run(front::make_connector)
}
