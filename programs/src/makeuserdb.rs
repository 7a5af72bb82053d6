//! makeuserdb(8): compiles userdb's text into `FILE.dat` and `FILEshadow.dat`
//! (reference: authlib 8 and 9).

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use authlib::exclusive::PATIENCE;
use authlib::userdb::compile::{Compiler, Failed, Origin};

use crate::places;

const USAGE: &str = "Usage: makeuserdb [-f FILE]\n\
    \n\
    Compiles FILE (or the userdb of the configuration directory), a file or a\n\
    directory of files, into FILE.dat and FILEshadow.dat.\n";

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let compiled = match arguments.as_slice() {
        [] => compile(&places::userdb(), Origin::Noted),
        [option, file] if option == "-f" => compile(Path::new(file), Origin::Left),
        _ => {
            say(USAGE);
            return ExitCode::FAILURE;
        }
    };
    match compiled {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(&failed.to_string());
            ExitCode::FAILURE
        }
    }
}

fn compile(source: &Path, origin: Origin) -> Result<(), Failed> {
    Compiler::lock(source, origin, PATIENCE)?.build(None, &mut say)?.install()
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
