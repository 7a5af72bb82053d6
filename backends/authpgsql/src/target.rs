//! To which servers to connect, and how: the [`Parameters`] with their
//! meaning.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use authlib::sql::PATIENCE;
use authlib::{Secret, Unavailable};
use tokio_postgres::config::{ChannelBinding, Config, LoadBalanceHosts, SslNegotiation};

use crate::parameters::{Parameters, wrong};
use crate::tls::{self, Mode};

/// Where Debian's PostgreSQL has its sockets.
const SOCKET_DIRECTORY: &str = "/var/run/postgresql";
const PORT: u16 = 5432;
/// How long one server may take to let us in, if nothing else is said.
const CONNECT: Duration = Duration::from_secs(5);

/// The servers, in the order in which to try them, and what to tell them.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) hosts: Vec<Host>,
    pub(crate) in_any_order: bool,
    pub(crate) user: String,
    pub(crate) dbname: String,
    pub(crate) password: Option<Secret>,
    pub(crate) passfile: PathBuf,
    pub(crate) client_encoding: Option<String>,
    pub(crate) wanted: Wanted,
    pub(crate) patience: Duration,
    pub(crate) tls: tls::Settings,
    /// What is the same for all of them.
    pub(crate) config: Config,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) way: Way,
    pub(crate) port: u16,
}

/// How to get at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A socket in this directory.
    Socket(PathBuf),
    /// This name, at this address if it is not to be looked up.
    Network { name: String, address: Option<IpAddr> },
}

/// Which servers are good enough. (`target_session_attrs`)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Wanted {
    /// What to look for first, and what if there is none such.
    pub(crate) fn in_turn(&self) -> &[Wanted] {
        match self {
            Wanted::PreferStandby => &[Wanted::Standby, Wanted::Any],
            wanted => std::slice::from_ref(wanted),
        }
    }
}

impl Target {
    /// What `parameters` mean for `own_user`, whose files are in `home`.
    ///
    /// # Errors
    /// A value that means nothing.
    pub(crate) fn new(parameters: &Parameters, own_user: &str, home: &str) -> Result<Target, Unavailable> {
        let of_postgres = |name: &str| PathBuf::from(home).join(".postgresql").join(name);
        let user = parameters.get("user").unwrap_or(own_user).to_owned();
        let in_home = || PathBuf::from(home).join(".pgpass");
        let seconds = |seconds: u64| Duration::from_secs(seconds.max(2));
        let patience = parameters.number::<i64>("connect_timeout")?;
        let patience = patience.and_then(|given| u64::try_from(given).ok()).filter(|given| *given > 0);
        let random = [("disable", false), ("random", true)];
        Ok(Target {
            hosts: hosts(parameters)?,
            in_any_order: parameters.one_of("load_balance_hosts", &random)?,
            dbname: parameters.get("dbname").unwrap_or(&user).to_owned(),
            user,
            password: parameters.get("password").map(|password| Secret::copy_of(password.as_bytes())),
            passfile: parameters.get("passfile").map_or_else(in_home, PathBuf::from),
            client_encoding: parameters
                .get("client_encoding")
                .filter(|name| *name != "auto")
                .map(str::to_owned),
            wanted: parameters.one_of(
                "target_session_attrs",
                &[
                    ("any", Wanted::Any),
                    ("read-write", Wanted::ReadWrite),
                    ("read-only", Wanted::ReadOnly),
                    ("primary", Wanted::Primary),
                    ("standby", Wanted::Standby),
                    ("prefer-standby", Wanted::PreferStandby),
                ],
            )?,
            patience: patience.map_or(CONNECT, seconds).min(PATIENCE),
            tls: tls::Settings::new(parameters, &of_postgres)?,
            config: config(parameters)?,
        })
    }
}

/// What concerns neither a host nor the password.
fn config(parameters: &Parameters) -> Result<Config, Unavailable> {
    let mut config = Config::new();
    if let Some(options) = parameters.get("options") {
        config.options(options);
    }
    let name = parameters.get("application_name").or(parameters.get("fallback_application_name"));
    config.application_name(name.unwrap_or("authpgsql"));
    config.load_balance_hosts(LoadBalanceHosts::Disable);
    config.channel_binding(parameters.one_of(
        "channel_binding",
        &[
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
            ("disable", ChannelBinding::Disable),
        ],
    )?);
    config.ssl_negotiation(parameters.one_of(
        "sslnegotiation",
        &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
    )?);
    config.keepalives(parameters.number::<i64>("keepalives")?.unwrap_or(1) != 0);
    let seconds = |keyword| -> Result<Option<Duration>, Unavailable> {
        Ok(parameters.number(keyword)?.filter(|seconds| *seconds > 0).map(Duration::from_secs))
    };
    if let Some(idle) = seconds("keepalives_idle")? {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = seconds("keepalives_interval")? {
        config.keepalives_interval(interval);
    }
    if let Some(count) = parameters.number("keepalives_count")?.filter(|count| *count > 0) {
        config.keepalives_retries(count);
    }
    if let Some(timeout) = parameters.number("tcp_user_timeout")?.filter(|timeout| *timeout > 0) {
        config.tcp_user_timeout(Duration::from_millis(timeout));
    }
    Ok(config)
}

/// The lists `host`, `hostaddr` and `port` side by side.
fn hosts(parameters: &Parameters) -> Result<Vec<Host>, Unavailable> {
    let list =
        |keyword| parameters.get(keyword).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
    let (names, addresses) = (list("host"), list("hostaddr"));
    let ports = list("port").unwrap_or_default();
    let count = addresses.as_ref().or(names.as_ref()).map_or(1, Vec::len);
    let fits = |list: &Option<Vec<&str>>| list.as_ref().is_none_or(|list| list.len() == count);
    if !fits(&names) || !fits(&addresses) || !(ports.len() <= 1 || ports.len() == count) {
        return Err(wrong(&"host, hostaddr and port differ in number"));
    }
    let item = |list: &Option<Vec<&str>>, index: usize| {
        list.as_ref()
            .and_then(|list| list.get(index))
            .copied()
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
    };
    (0..count)
        .map(|index| {
            let port = ports.get(index).or(ports.first()).copied().filter(|port| !port.is_empty());
            let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| wrong(&"port is no port")));
            let address = item(&addresses, index);
            let address = address.map(|text| text.parse().map_err(|_| wrong(&"hostaddr is no address")));
            Ok(Host { way: way(item(&names, index), address.transpose()?), port: port? })
        })
        .collect()
}

fn way(name: Option<String>, address: Option<IpAddr>) -> Way {
    match (name, address) {
        (None, None) => Way::Socket(SOCKET_DIRECTORY.into()),
        (Some(path), None) if path.starts_with(['/', '@']) => Way::Socket(path.into()),
        (Some(name), address) => Way::Network { name, address },
        (None, Some(address)) => Way::Network { name: address.to_string(), address: Some(address) },
    }
}

impl Host {
    /// What stands for it in a password file.
    pub(crate) fn name(&self) -> &str {
        match &self.way {
            Way::Socket(path) if path.as_os_str() == SOCKET_DIRECTORY => "localhost",
            Way::Socket(path) => path.to_str().unwrap_or_default(),
            Way::Network { name, .. } => name,
        }
    }

    /// The ways to speak with it, best first. There is no TLS on a socket.
    pub(crate) fn modes(&self, tls: &tls::Settings) -> Vec<Mode> {
        match self.way {
            Way::Socket(_) => vec![Mode::Plain],
            Way::Network { .. } => tls.modes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Target, Wanted, Way};
    use crate::parameters::Parameters;
    use crate::tls::Mode;
    use authlib::sql::PATIENCE;
    use std::time::Duration;

    fn target(conninfo: &str) -> Result<Target, authlib::Unavailable> {
        Target::new(&Parameters::new(conninfo, &|_| None)?, "me", "/no/home")
    }

    fn network(name: &str, address: Option<&str>, port: u16) -> Host {
        let address = address.map(|address| address.parse().unwrap());
        Host { way: Way::Network { name: name.to_owned(), address }, port }
    }

    #[test]
    fn without_any_word_it_is_the_socket_and_our_own_name() {
        let target = target("").unwrap();
        assert_eq!(target.hosts, [Host { way: Way::Socket("/var/run/postgresql".into()), port: 5432 }]);
        assert_eq!((target.user.as_str(), target.dbname.as_str()), ("me", "me"));
        assert_eq!(target.passfile.to_str(), Some("/no/home/.pgpass"));
        assert_eq!(target.hosts[0].name(), "localhost");
        assert_eq!(target.hosts[0].modes(&target.tls), [Mode::Plain]);
    }

    #[test]
    fn hosts_addresses_and_ports_stand_side_by_side() {
        let hosts = |conninfo: &str| target(conninfo).unwrap().hosts;
        assert_eq!(hosts("host=a,b port=1"), [network("a", None, 1), network("b", None, 1)]);
        assert_eq!(hosts("host=a,b port=1,"), [network("a", None, 1), network("b", None, 5432)]);
        assert_eq!(hosts("hostaddr=::1"), [network("::1", Some("::1"), 5432)]);
        assert_eq!(hosts("host=a hostaddr=127.0.0.1"), [network("a", Some("127.0.0.1"), 5432)]);
        assert_eq!(hosts("host=/run/pg")[0].way, Way::Socket("/run/pg".into()));
        for conninfo in ["host=a,b hostaddr=::1", "host=a port=1,2", "port=x", "hostaddr=localhost"] {
            assert!(target(conninfo).is_err(), "{conninfo}");
        }
    }

    #[test]
    fn words_and_numbers_are_what_they_may_be() {
        let found = target("user=u dbname=d target_session_attrs=standby connect_timeout=1").unwrap();
        assert_eq!((found.user.as_str(), found.dbname.as_str()), ("u", "d"));
        assert_eq!((found.wanted, found.patience), (Wanted::Standby, Duration::from_secs(2)));
        assert_eq!(target("connect_timeout=0").unwrap().patience, Duration::from_secs(5));
        assert_eq!(target("connect_timeout=600").unwrap().patience, PATIENCE);
        for conninfo in [
            "target_session_attrs=best",
            "connect_timeout=soon",
            "channel_binding=1",
            "sslmode=yes",
            "keepalives_idle=x",
        ] {
            assert!(target(conninfo).is_err(), "{conninfo}");
        }
    }

    #[test]
    fn debug_output_shows_no_password() {
        assert!(!format!("{:?}", target("password=hunter2").unwrap()).contains("hunter2"));
    }
}
