//! authldap: accounts in an LDAP directory (reference: authlib 15).
//!
//! A program of its own, so that the network and TLS never come near mail. What
//! each setting does is said in `docs/back-ends.md`.

mod account;
mod directory;
mod ldap;
mod link;
mod module;
mod passwords;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::module_program::run("authldap", module::Authldap::new())
}
