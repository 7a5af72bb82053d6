//! The server that `authmysqlrc` names.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use authlib::printable::{printable, reason};
use authlib::rcfile::Settings;
use authlib::sql::Dialect;
use authlib::{Secret, Unavailable};
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, SslOpts};
use sqldriver::Server;

use crate::reason::unavailable;
use crate::session::Session;

/// Where Debian's servers have their socket.
const SOCKET: &str = "/run/mysqld/mysqld.sock";
const PORT: u16 = 3306;

/// The bits of `MYSQL_OPT` that mean something here, by their names in the
/// protocol's documentation.
const CLIENT_FOUND_ROWS: u64 = 2;
const CLIENT_SSL: u64 = 2048;

/// A data base of a MySQL or MariaDB server.
pub(crate) struct Mysql {
    way: Way,
    user: String,
    password: Option<Secret>,
    database: String,
    character_set: Option<String>,
    tls: Option<Tls>,
}

/// How to get at the server.
enum Way {
    Socket(String),
    Network(String, u16),
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Socket(path) => formatter.write_str(path),
            Way::Network(name, port) => write!(formatter, "{name}, port {port}"),
        }
    }
}

/// Certificates and keys.
#[derive(Default)]
struct Tls {
    identity: Option<(PathBuf, PathBuf)>,
    authority: Option<PathBuf>,
    authorities: Option<PathBuf>,
}

impl Server for Mysql {
    const PREFIX: &'static str = "MYSQL_";
    const DIALECT: Dialect = Dialect::Mysql;
    type Session = Session;

    fn from_settings(settings: &Settings) -> Result<Self, Unavailable> {
        let way = way(settings)?;
        let mut tls = tls(settings)?;
        if options(settings)? & CLIENT_SSL != 0 {
            tls.get_or_insert_default();
        }
        if tls.is_some() && matches!(way, Way::Socket(_)) {
            settings.remark("there is no TLS on a socket");
            tls = None;
        }
        Ok(Mysql {
            way,
            user: settings.required("MYSQL_USERNAME")?.to_owned(),
            password: settings.text("MYSQL_PASSWORD")?.map(|password| Secret::copy_of(password.as_bytes())),
            database: settings.required("MYSQL_DATABASE")?.to_owned(),
            character_set: character_set(settings)?,
            tls,
        })
    }

    async fn connect(&self) -> Result<Session, Unavailable> {
        let connection = Conn::new(self.opts()?).await;
        let connection = connection.map_err(|error| {
            Unavailable::new(format!(
                "{}: {}",
                printable(self.way.to_string().as_bytes()),
                unavailable(&error)
            ))
        });
        Ok(Session::new(connection?))
    }
}

/// A hash that its column has no room for is an error, and not cut off.
const STRICT: &str = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";

impl Mysql {
    /// For one connection, with the certificates that are there now.
    fn opts(&self) -> Result<Opts, Unavailable> {
        let password =
            self.password.as_ref().map(|password| String::from_utf8_lossy(password.expose()).into_owned());
        let mut opts = OptsBuilder::default()
            .user(Some(self.user.as_str()))
            .pass(password)
            .db_name(Some(self.database.as_str()))
            // Or it would leave the network for a socket of the same server.
            .prefer_socket(false)
            .client_found_rows(true)
            .ssl_opts(self.tls.as_ref().map(Tls::opts).transpose()?);
        let names = self.character_set.as_ref().map(|name| format!("SET NAMES {name}"));
        opts = opts.init([STRICT.to_owned()].into_iter().chain(names).collect::<Vec<_>>());
        Ok(match &self.way {
            Way::Socket(path) => opts.socket(Some(path.as_str())).into(),
            Way::Network(name, port) => opts.ip_or_hostname(name.as_str()).tcp_port(*port).into(),
        })
    }
}

/// As libmysqlclient takes it: `localhost` is a socket.
fn way(settings: &Settings) -> Result<Way, Unavailable> {
    let (server, socket) = (settings.text("MYSQL_SERVER")?, settings.text("MYSQL_SOCKET")?);
    let port = settings.number("MYSQL_PORT")?.filter(|port| *port != 0).unwrap_or(PORT);
    match (server, socket) {
        (None, None) => Err(Unavailable::new("neither MYSQL_SERVER nor MYSQL_SOCKET is set")),
        (None | Some("localhost"), socket) => Ok(Way::Socket(socket.unwrap_or(SOCKET).to_owned())),
        (Some(server), _) => {
            settings.not_honoured("MYSQL_SOCKET", "MYSQL_SERVER is not localhost");
            Ok(Way::Network(server.to_owned(), port))
        }
    }
}

/// The bits of `MYSQL_OPT`.
fn options(settings: &Settings) -> Result<u64, Unavailable> {
    let options = settings.number("MYSQL_OPT")?.unwrap_or(0);
    if options & !(CLIENT_FOUND_ROWS | CLIENT_SSL) != 0 {
        settings.not_honoured("MYSQL_OPT", "only its bit 2048, TLS, means something here");
    }
    Ok(options)
}

/// It goes into a statement, so it is a name and nothing else.
fn character_set(settings: &Settings) -> Result<Option<String>, Unavailable> {
    let Some(name) = settings.text("MYSQL_CHARACTER_SET")? else { return Ok(None) };
    if name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_') {
        return Ok(Some(name.to_owned()));
    }
    Err(Unavailable::new("MYSQL_CHARACTER_SET is no name"))
}

/// Whether and how to speak TLS: if any of its settings is there.
fn tls(settings: &Settings) -> Result<Option<Tls>, Unavailable> {
    let path = |name| Ok::<_, Unavailable>(settings.text(name)?.map(PathBuf::from));
    let (key, certificate) = (path("MYSQL_SSL_KEY")?, path("MYSQL_SSL_CERT")?);
    let (authority, authorities) = (path("MYSQL_SSL_CACERT")?, path("MYSQL_SSL_CAPATH")?);
    let why = "the cipher suites are those of rustls for TLS 1.2 and 1.3";
    let asks_for_a_cipher = settings.get("MYSQL_SSL_CIPHER").is_some();
    settings.not_honoured("MYSQL_SSL_CIPHER", why);
    settings.not_honoured("MYSQL_SSL_CIPHERS", why);
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(Unavailable::new("MYSQL_SSL_CERT and MYSQL_SSL_KEY belong together")),
    };
    let is_wanted = identity.is_some() || authority.is_some() || authorities.is_some() || asks_for_a_cipher;
    Ok(is_wanted.then_some(Tls { identity, authority, authorities }))
}

impl Tls {
    /// The server's certificate is verified, and its name too, if there is
    /// anything to verify it with (ledger 727).
    fn opts(&self) -> Result<SslOpts, Unavailable> {
        let identity = self.identity.clone();
        let identity = identity.map(|(certificate, key)| ClientIdentity::new(certificate.into(), key.into()));
        let opts = SslOpts::default().with_client_identity(identity);
        if self.authority.is_none() && self.authorities.is_none() {
            return Ok(opts.with_danger_accept_invalid_certs(true));
        }
        let mut roots: Vec<PathBuf> = self.authority.iter().cloned().collect();
        if let Some(directory) = &self.authorities {
            roots.extend(hashed(directory)?);
        }
        let roots = roots.into_iter().map(Into::into).collect();
        Ok(opts.with_root_certs(roots).with_disable_built_in_roots(true))
    }
}

/// The certificates in a directory as OpenSSL looks for them: by names such as
/// `0123abcd.0`.
fn hashed(directory: &PathBuf) -> Result<Vec<PathBuf>, Unavailable> {
    let failed = |error| {
        Unavailable::new(format!(
            "{}: {}",
            printable(directory.as_os_str().as_encoded_bytes()),
            reason(&error)
        ))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_hash = |(hash, number): (&str, &str)| {
            hash.len() == 8
                && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
                && number.bytes().all(|digit| digit.is_ascii_digit())
        };
        if name.split_once('.').is_some_and(is_hash) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::Mysql;
    use authlib::rcfile::Settings;
    use sqldriver::Server;

    fn parsed(text: &str) -> (Result<Mysql, String>, Vec<String>) {
        let text = format!("MYSQL_USERNAME u\nMYSQL_DATABASE d\n{text}\n##NAME: MARKER:0\n");
        let settings = Settings::parse(text.as_bytes()).unwrap();
        let server = Mysql::from_settings(&settings).map_err(|reason| reason.to_string());
        (server, settings.remarks())
    }

    #[test]
    fn localhost_is_a_socket() {
        for (text, expected) in [
            ("MYSQL_SERVER localhost", "/run/mysqld/mysqld.sock"),
            ("MYSQL_SERVER localhost\nMYSQL_SOCKET /s", "/s"),
            ("MYSQL_SOCKET /s", "/s"),
            ("MYSQL_SERVER db", "db, port 3306"),
            ("MYSQL_SERVER db\nMYSQL_PORT 0", "db, port 3306"),
            ("MYSQL_SERVER ::1\nMYSQL_PORT 5", "::1, port 5"),
        ] {
            assert_eq!(parsed(text).0.unwrap().way.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        for text in [
            "",
            "MYSQL_SERVER a\nMYSQL_PORT x",
            "MYSQL_SERVER a\nMYSQL_SSL_KEY /k",
            "MYSQL_SERVER a\nMYSQL_CHARACTER_SET utf8; DROP",
        ] {
            assert!(parsed(text).0.is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_honoured_is_said() {
        for (text, remarks) in [
            ("MYSQL_SERVER a\nMYSQL_OPT 0", [].as_slice()),
            ("MYSQL_SERVER a\nMYSQL_OPT 2050", &[]),
            ("MYSQL_SERVER a\nMYSQL_OPT 32", &["MYSQL_OPT is not honoured: only"]),
            ("MYSQL_SERVER a\nMYSQL_SOCKET /s", &["MYSQL_SOCKET is not honoured"]),
            ("MYSQL_SERVER a\nMYSQL_SSL_CIPHERS ALL", &["MYSQL_SSL_CIPHERS is not honoured"]),
            ("MYSQL_SOCKET /s\nMYSQL_SSL_CACERT /c", &["there is no TLS on a socket"]),
        ] {
            let said = parsed(text).1;
            assert_eq!(said.len(), remarks.len(), "{text}: {said:?}");
            assert!(said.iter().zip(remarks).all(|(said, remark)| said.starts_with(remark)), "{said:?}");
        }
    }
}
