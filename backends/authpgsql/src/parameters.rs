//! The parameters of a connection, from the connection string, libpq's
//! environment variables or libpq's defaults, in this order (PostgreSQL's
//! documentation, "Parameter Key Words" and "Environment Variables").

use authlib::Unavailable;
use zeroize::Zeroizing;

use crate::conninfo;

/// What becomes of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// It does what libpq's documentation says.
    Honoured,
    /// It changes nothing for us, whatever it says.
    Harmless,
    /// It asks for what we cannot do, unless it says this.
    Refused(&'static str),
}

use Treatment::{Harmless, Honoured, Refused};

/// Each parameter of libpq, its environment variable, and what becomes of it.
const KEYWORDS: &[(&str, &str, Treatment)] = &[
    ("host", "PGHOST", Honoured),
    ("hostaddr", "PGHOSTADDR", Honoured),
    ("port", "PGPORT", Honoured),
    ("dbname", "PGDATABASE", Honoured),
    ("user", "PGUSER", Honoured),
    ("password", "PGPASSWORD", Honoured),
    ("passfile", "PGPASSFILE", Honoured),
    ("channel_binding", "PGCHANNELBINDING", Honoured),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Honoured),
    ("client_encoding", "PGCLIENTENCODING", Honoured),
    ("options", "PGOPTIONS", Honoured),
    ("application_name", "PGAPPNAME", Honoured),
    ("fallback_application_name", "", Honoured),
    ("keepalives", "", Honoured),
    ("keepalives_idle", "", Honoured),
    ("keepalives_interval", "", Honoured),
    ("keepalives_count", "", Honoured),
    ("tcp_user_timeout", "", Honoured),
    ("sslmode", "PGSSLMODE", Honoured),
    ("sslnegotiation", "PGSSLNEGOTIATION", Honoured),
    ("sslcert", "PGSSLCERT", Honoured),
    ("sslkey", "PGSSLKEY", Honoured),
    ("sslrootcert", "PGSSLROOTCERT", Honoured),
    ("sslsni", "PGSSLSNI", Honoured),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Honoured),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Honoured),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Honoured),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Honoured),
    ("sslcompression", "PGSSLCOMPRESSION", Harmless),
    ("krbsrvname", "PGKRBSRVNAME", Harmless),
    ("gsslib", "PGGSSLIB", Harmless),
    ("gssdelegation", "PGGSSDELEGATION", Harmless),
    // Without GSSAPI libpq treats `prefer`, its default, as this.
    ("gssencmode", "PGGSSENCMODE", Refused("disable|prefer")),
    ("replication", "", Refused("false|off|no|0")),
    ("sslcertmode", "PGSSLCERTMODE", Refused("allow")),
    ("require_auth", "PGREQUIREAUTH", Refused("")),
    ("requirepeer", "PGREQUIREPEER", Refused("")),
    ("requiressl", "PGREQUIRESSL", Refused("0")),
    ("service", "PGSERVICE", Refused("")),
    ("sslcrl", "PGSSLCRL", Refused("")),
    ("sslcrldir", "PGSSLCRLDIR", Refused("")),
    ("sslpassword", "", Refused("")),
];

/// The values that are set.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(&'static str, Value)>);

/// One that Debug does not show.
struct Value(Zeroizing<String>);

impl std::fmt::Debug for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

impl Parameters {
    /// Those in `conninfo`, and those that the `environment` adds. An empty
    /// value is none.
    ///
    /// # Errors
    /// It is malformed, has a keyword that libpq has not, or asks for what we
    /// cannot do.
    pub(crate) fn new(
        conninfo: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Parameters, Unavailable> {
        let given = conninfo::parse(conninfo).map_err(|flaw| wrong(&flaw))?;
        for (index, (keyword, _)) in given.iter().enumerate() {
            if !KEYWORDS.iter().any(|(known, ..)| known == keyword) {
                return Err(wrong(&format_args!("keyword {} is none of libpq's", index + 1)));
            }
        }
        let mut parameters = Vec::new();
        for &(keyword, variable, treatment) in KEYWORDS {
            let given = given.iter().rfind(|(candidate, _)| candidate == keyword);
            let inherited = || environment(variable).filter(|_| !variable.is_empty()).map(Zeroizing::new);
            let value = given.map(|(_, value)| value.clone()).or_else(inherited);
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            match treatment {
                Honoured => parameters.push((keyword, Value(value))),
                Harmless => {}
                Refused(but) if but.split('|').any(|harmless| harmless == value.as_str()) => {}
                Refused(_) => return Err(wrong(&format_args!("{keyword} cannot be honoured"))),
            }
        }
        Ok(Parameters(parameters))
    }

    /// The value of `keyword`.
    pub(crate) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| *candidate == keyword).map(|(_, value)| value.0.as_str())
    }

    /// The value of `keyword` as a number of `N`.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn number<N: std::str::FromStr>(&self, keyword: &str) -> Result<Option<N>, Unavailable> {
        let parse =
            |text: &str| text.trim().parse().map_err(|_| wrong(&format_args!("{keyword} is no number")));
        self.get(keyword).map(parse).transpose()
    }

    /// The value of `keyword`, one of `words`; the first is the default.
    ///
    /// # Errors
    /// It is none of them.
    pub(crate) fn one_of<T: Copy>(&self, keyword: &str, words: &[(&str, T)]) -> Result<T, Unavailable> {
        let found = match self.get(keyword) {
            None => words.first(),
            Some(value) => words.iter().find(|(word, _)| *word == value),
        };
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| wrong(&format_args!("{keyword} is none of its words")))
    }
}

/// What is wrong with the connection string, for the log.
pub(crate) fn wrong(what: &dyn std::fmt::Display) -> Unavailable {
    Unavailable::new(format!("PGSQL_CONNECTION: {what}"))
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn the_string_wins_over_the_environment() {
        let environment = |name: &str| match name {
            "PGHOST" => Some("env-host".to_owned()),
            "PGUSER" => Some("env-user".to_owned()),
            "PGPORT" => Some(String::new()),
            _ => None,
        };
        let parameters = Parameters::new("host=a port='' host=b", &environment).unwrap();
        assert_eq!(parameters.get("host"), Some("b"));
        assert_eq!(parameters.get("user"), Some("env-user"));
        assert_eq!((parameters.get("port"), parameters.get("dbname")), (None, None));
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        for conninfo in [
            "gssencmode=require",
            "service=mail",
            "sslcrl=/crl",
            "sslpassword=hunter2",
            "require_auth=scram-sha-256",
            "hunter2=x",
        ] {
            let wrong = Parameters::new(conninfo, &nothing).unwrap_err().to_string();
            assert!(wrong.starts_with("PGSQL_CONNECTION: ") && !wrong.contains("hunter2"), "{wrong}");
        }
        for conninfo in ["gssencmode=prefer", "gssencmode=disable", "sslcompression=1", "replication=off"] {
            assert!(Parameters::new(conninfo, &nothing).is_ok(), "{conninfo}");
        }
        let environment = |name: &str| (name == "PGSERVICE").then(|| "mail".to_owned());
        assert!(Parameters::new("host=a", &environment).is_err());
    }

    #[test]
    fn debug_output_shows_no_value() {
        let parameters = Parameters::new("password=hunter2 user=x", &nothing).unwrap();
        assert!(!format!("{parameters:?}").contains("hunter2"));
    }
}
