//! The modules by their names in `authmodulelist` and in a chain.
//!
//! Some are part of these programs. Those that need a library of a data base,
//! of LDAP or of TLS are programs of their own (`backends/`), which are asked
//! over pipes: such a library never comes near mail, and its crash is an
//! *unavailable*.

use std::fmt;
use std::path::PathBuf;

use authlib::Module;
use authlib::checkpassword::Checkpassword;
use authlib::custom::Custom;
use authlib::daemon::Daemon;
use authlib::passwd::Passwd;
use authlib::pipe::Pipe;
use authlib::printable::printable;
use authlib::userdb::Userdb;

use crate::{environment, places};

/// The modules that are programs of their own.
const PROGRAMS: [&str; 6] = ["authldap", "authmysql", "authoauth2", "authpam", "authpgsql", "authsqlite"];

/// Why there is no such module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoModule {
    /// None has this name.
    Unknown(String),
    /// It is a program, and that is not here.
    NotInstalled(PathBuf),
}

impl fmt::Display for NoModule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoModule::Unknown(name) => write!(formatter, "there is no module {}", printable(name.as_bytes())),
            NoModule::NotInstalled(program) => {
                write!(formatter, "{} is not installed", printable(program.as_os_str().as_encoded_bytes()))
            }
        }
    }
}

/// Makes the module called `name` for authdaemond. Opens nothing and starts
/// nothing before the first question, or [`Module::prepare`].
///
/// # Errors
/// There is no such module here.
pub fn called(name: &str) -> Result<Box<dyn Module>, NoModule> {
    Ok(match name {
        "authuserdb" => Box::new(Userdb::of(&places::userdb())),
        "authpwd" => Box::new(Passwd::authpwd()),
        "authshadow" => Box::new(Passwd::authshadow()),
        "authcustom" => Box::new(Custom),
        "authpipe" => Box::new(Pipe::foreign(places::configuration().join("authProg"))),
        "authcheckpassword" => Box::new(checkpassword()),
        _ if PROGRAMS.contains(&name) => {
            let program = places::module_program(name);
            if !program.exists() {
                return Err(NoModule::NotInstalled(program));
            }
            Box::new(Pipe::ours(name, program))
        }
        _ => return Err(NoModule::Unknown(name.to_owned())),
    })
}

/// The bridge to the program that POSTRIDER_CHECKPASSWORD names. It reports
/// through a program of ours, since we may be authdaemond here.
fn checkpassword() -> Checkpassword {
    let setting = environment::non_empty("POSTRIDER_CHECKPASSWORD").unwrap_or_default();
    Checkpassword::new(&setting, places::module_program("authcheckpassword"))
}

/// The same for a chain, which also knows `authdaemon`: it asks the daemon.
///
/// # Errors
/// As [`called`].
pub fn in_chain(name: &str) -> Result<Box<dyn Module>, NoModule> {
    match name {
        "authdaemon" => Ok(Box::new(Daemon::on(places::authdaemon_socket(), environment::daemon_timeouts()))),
        _ => called(name),
    }
}

#[cfg(test)]
mod tests {
    use super::{NoModule, called, in_chain};

    #[test]
    fn a_module_has_the_name_it_is_called_by() {
        for name in ["authuserdb", "authpwd", "authshadow", "authcustom", "authpipe", "authcheckpassword"] {
            assert_eq!(called(name).unwrap().name(), name);
            assert_eq!(in_chain(name).unwrap().name(), name);
        }
        assert!(matches!(called("authnothing"), Err(NoModule::Unknown(_))));
        assert!(matches!(called(""), Err(NoModule::Unknown(_))));
    }

    #[test]
    fn the_daemon_does_not_ask_itself() {
        assert!(called("authdaemon").is_err());
        assert_eq!(in_chain("authdaemon").unwrap().name(), "authdaemon");
    }
}
