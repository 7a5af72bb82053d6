//! The modules by their names in `authmodulelist` and in a chain.

use authlib::Module;
use authlib::custom::Custom;
use authlib::daemon::Daemon;
use authlib::passwd::Passwd;
use authlib::pipe::Pipe;
use authlib::userdb::Userdb;

use crate::{environment, places};

/// Makes the module called `name` for authdaemond; `None` if there is none of
/// that name. Opens nothing and starts nothing before the first question.
#[must_use]
pub fn called(name: &str) -> Option<Box<dyn Module>> {
    Some(match name {
        "authuserdb" => Box::new(Userdb::of(&places::userdb())),
        "authpwd" => Box::new(Passwd::authpwd()),
        "authshadow" => Box::new(Passwd::authshadow()),
        "authcustom" => Box::new(Custom),
        "authpipe" => Box::new(Pipe::foreign(places::configuration().join("authProg"))),
        _ => return None,
    })
}

/// The same for a chain, which also knows `authdaemon`: it asks the daemon.
#[must_use]
pub fn in_chain(name: &str) -> Option<Box<dyn Module>> {
    match name {
        "authdaemon" => {
            Some(Box::new(Daemon::on(places::authdaemon_socket(), environment::daemon_timeouts())))
        }
        _ => called(name),
    }
}

#[cfg(test)]
mod tests {
    use super::{called, in_chain};

    #[test]
    fn a_module_has_the_name_it_is_called_by() {
        for name in ["authuserdb", "authpwd", "authshadow", "authcustom", "authpipe"] {
            assert_eq!(called(name).unwrap().name(), name);
            assert_eq!(in_chain(name).unwrap().name(), name);
        }
        assert!(called("authnothing").is_none() && called("").is_none());
    }

    #[test]
    fn the_daemon_does_not_ask_itself() {
        assert!(called("authdaemon").is_none());
        assert_eq!(in_chain("authdaemon").unwrap().name(), "authdaemon");
    }
}
