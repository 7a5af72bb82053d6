//! The options of couriertcpd that `TCPDOPTS` may hold (reference
//! couriertcpd.md 2).

use super::super::Kind::{Number, Text};
use super::super::Setting;
use super::super::Status::{self, Mapped, Needless, Refused, Unsupported};

/// One option that takes no key in postrider.toml and that nobody is given.
const fn option(name: &'static str, status: Status, about: &'static str) -> Setting {
    Setting { name, readers: &[], key: None, kind: Text, status, default: "", about }
}

const FOREGROUND: Status = Needless("the service stays in the foreground");
const LOG: Status = Unsupported("the log is on descriptor 2");
const DNS: Status = Refused("DNS lists are not asked, and they are to keep somebody out");
const ACCESS: Status = Refused("access files are not read, and they are to keep somebody out");

pub(super) const SETTINGS: &[Setting] = &[
    option(
        "-nodnslookup",
        Needless("names of clients are not looked up"),
        "names of clients are not looked up",
    ),
    option(
        "-noidentlookup",
        Needless("nobody is asked for idents (ledger 502)"),
        "nobody is asked for idents",
    ),
    option("-access", ACCESS, "who may connect, by address"),
    option("-accesslocal", ACCESS, "who may connect, by our own address"),
    option("-denymsg", ACCESS, "what those hear who may not"),
    option("-allow", DNS, "who may connect, by a DNS list"),
    option("-block", DNS, "who may not, by a DNS list"),
    option("-drop", DNS, "those may not who are on a DNS list"),
    option(
        "-haproxy",
        Refused(
            "`POSTRIDER_PROXY_AT` says where a proxy is expected, and `POSTRIDER_PROXY_FROM` which one is believed",
        ),
        "clients come through a proxy that says their address",
    ),
    option("-address", Mapped("`ADDRESS` and `SSLADDRESS`"), "the address of ports that have none"),
    option("-maxprocs", Mapped("`MAXDAEMONS`"), "most connections at once"),
    option("-maxperip", Mapped("`MAXPERIP`"), "most connections from one address"),
    option(
        "-maxperc",
        Mapped("`POSTRIDER_MAXPERC`, and `24 120` becomes `POSTRIDER_MAXPERC_BITS`"),
        "most connections from one network",
    ),
    Setting {
        name: "-warn",
        readers: &[],
        key: None,
        kind: Number,
        status: Unsupported("the warning comes a tenth below `MAXDAEMONS`"),
        default: "",
        about: "at how many connections there is a warning",
    },
    option("-listen", Needless("as many wait as the kernel lets (ledger 501)"), "how many clients may wait"),
    option("-user", Unsupported("`postrider-front` is nobody"), "whom couriertcpd becomes"),
    option("-group", Unsupported("`postrider-front` is nobody"), "whose group couriertcpd gets"),
    option("-stderr", LOG, "a file for the log"),
    option("-stderrlogger", LOG, "a program for the log"),
    option("-stderrloggername", LOG, "what that program is told"),
    option("-pid", FOREGROUND, "where the pid is written"),
    option("-stop", FOREGROUND, "the running couriertcpd is ended"),
    option("-restart", FOREGROUND, "the running couriertcpd is told to read its files again"),
    option("-proxy", Needless("it does nothing in Courier either"), "nothing"),
];
