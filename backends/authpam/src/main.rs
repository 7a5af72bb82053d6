//! authpam: the machine's users, as PAM lets them in (reference: authlib 16).
//!
//! ```text
//! authpam NEXT PROGRAM …   a link of a chain
//! authpam                  kept alive by authdaemond
//!   └ authpam -check       one authentication, in a process of its own: the only one with PAM's modules in it
//! ```
//!
//! PAM's modules may hang, crash, exit, change signal handlers, leave threads
//! and memory, write to standard output. So each authentication is a program
//! that has never seen another password, and whatever becomes of it is at
//! worst *unavailable*.

mod check;
mod codes;
mod module;
mod words;

use std::process::ExitCode;

use module::Pam;
use programs::module_program;

fn main() -> ExitCode {
    if std::env::args_os().skip(1).eq([check::WORD]) {
        return check::run();
    }
    module_program::run("authpam", Pam)
}
