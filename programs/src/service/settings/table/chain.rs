//! What the programs of the chain tell each other (reference config.md 5).

use super::super::Kind::Text;
use super::super::Setting;
use super::super::Status::Needless;

/// A variable that belongs to one connection, in the chain.
const fn of_chain(name: &'static str, about: &'static str) -> Setting {
    let status = Needless("it is told in messages");
    Setting { name, readers: &[], key: None, kind: Text, status, default: "", about }
}

pub(super) const SETTINGS: &[Setting] = &[
    of_chain("TCPREMOTEIP", "the client's address"),
    of_chain("TCPREMOTEPORT", "its port"),
    of_chain("TCPREMOTEHOST", "its name"),
    of_chain("TCPREMOTEINFO", "its ident"),
    of_chain("TCPLOCALIP", "our address"),
    of_chain("TCPLOCALPORT", "our port"),
    of_chain("TCPLOCALHOST", "our name"),
    of_chain("BLOCK", "what a DNS list says of the client"),
    of_chain("TLS_SUBJECT_*", "fields of the client's certificate"),
    of_chain("TLS_CONNECTED_PROTOCOL", "how TLS is spoken"),
    of_chain("OPTIONS", "options of the account"),
    of_chain("AUTHENTICATED", "the address of the account"),
    of_chain("AUTHADDR", "its name in the log"),
    of_chain("AUTHFULLNAME", "the name of its owner"),
    of_chain("UTF8", "the client has said UTF8"),
    of_chain("MAILDIR", "the Maildir of the account"),
    of_chain("MAILDIRQUOTA", "its quota"),
    of_chain("AUTHUSER", "the login program"),
    of_chain("AUTHARGC", "how many words it has"),
    of_chain("AUTHARGV*", "these words"),
    of_chain("AUTHEXPIRE", "when time is up"),
    of_chain("POSTRIDER_APOP_TIMESTAMP", "the timestamp of the greeting"),
    of_chain("POSTRIDER_ATTEMPT_USER", "whose login was tried"),
    of_chain("POSTRIDER_ATTEMPT_MECHANISM", "how"),
    of_chain("POSTRIDER_ATTEMPT_FAILURES", "how often"),
    of_chain("POSTRIDER_UNABLE_TO_TELL", "a module could not tell (ledger 151)"),
    of_chain("POSTRIDER_PIPE", "a module is asked over a pipe by us"),
    of_chain("POSTRIDER_AUTHDAEMON_SOCKET", "where authdaemond is asked"),
];
