//! A back-end that is a program of its own, with two faces (authlib(7);
//! reference: authlib 1.4 and 13).
//!
//! ```text
//! authpgsql NEXT PROGRAM …    a link of a chain: the login is on descriptor 3
//! authpgsql                   kept alive by authdaemond or as authProg: questions on standard input
//! ```

use std::env;
use std::process::ExitCode;

use authlib::{Module, Modules};

use crate::{chain_module, pipe_face};

/// Runs `module` with the face that this program was called for. Returns with
/// the status to end with.
#[must_use]
pub fn run(name: &'static str, module: impl Module + 'static) -> ExitCode {
    let module = Box::new(module);
    if env::args_os().len() > 1 {
        chain_module::run_as(name, || Ok(module))
    } else {
        pipe_face::serve(&mut Modules::one(module))
    }
}
