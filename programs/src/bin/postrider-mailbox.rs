//! postrider-mailbox: the sessions of one uid. See [`programs::service::mailbox`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::mailbox::run()
}
