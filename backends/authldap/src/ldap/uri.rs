//! Where servers are (RFC 4516, as far as it says that).

use std::fmt;
use std::path::PathBuf;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Uri {
    /// `ldap://host:389`
    Ldap { host: String, port: u16 },
    /// `ldaps://host:636`: TLS from the beginning.
    Ldaps { host: String, port: u16 },
    /// `ldapi://%2Frun%2Fslapd%2Fldapi`: a UNIX socket.
    Ldapi(PathBuf),
}

/// Where slapd listens unless it is told otherwise.
const USUAL_SOCKET: &str = "/var/run/slapd/ldapi";

impl Uri {
    /// The servers in a list separated by commas and white space; `None` if one
    /// of them is none, or there are none.
    pub(crate) fn list(text: &str) -> Option<Vec<Uri>> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        let uris: Vec<Uri> = words.map(Uri::parse).collect::<Option<_>>()?;
        Some(uris).filter(|uris| !uris.is_empty())
    }

    /// What stands behind the port, such as a base to search, is not for us.
    fn parse(text: &str) -> Option<Uri> {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "ldap" => host_and_port(authority, 389).map(|(host, port)| Uri::Ldap { host, port }),
            "ldaps" => host_and_port(authority, 636).map(|(host, port)| Uri::Ldaps { host, port }),
            "ldapi" if authority.is_empty() => Some(Uri::Ldapi(USUAL_SOCKET.into())),
            "ldapi" => decoded(authority).map(|path| Uri::Ldapi(path.into())),
            _ => None,
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Ldap { host, port } => write!(formatter, "ldap://{}:{port}", InBrackets(host)),
            Uri::Ldaps { host, port } => write!(formatter, "ldaps://{}:{port}", InBrackets(host)),
            Uri::Ldapi(path) => write!(formatter, "ldapi {}", path.display()),
        }
    }
}

/// An IPv6 address has colons of its own.
struct InBrackets<'a>(&'a str);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(formatter, "[{}]", self.0) } else { formatter.write_str(self.0) }
    }
}

fn host_and_port(authority: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            // `%25` is the `%` before the name of an interface (RFC 6874).
            (decoded(host)?, port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            (host.to_owned(), port)
        }
    };
    let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:%".contains(&octet);
    if !host.bytes().all(is_name) {
        return None;
    }
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    let port = if port.is_empty() { usual } else { port.parse().ok().filter(|port| *port != 0)? };
    Some((host, port))
}

/// Without `%2F` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(part.get(..2)?, 16).ok().filter(|octet| *octet != 0)?);
        octets.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::Uri;
    use proptest::prelude::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        Some(Uri::list(text)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_list_of_servers_is_separated_by_commas_and_white_space() {
        let list =
            shown("ldap://a, ldaps://b.example:3636,LDAP://[::1]:1389/\tldaps://[fe80::1%25eth0]").unwrap();
        assert_eq!(
            list,
            ["ldap://a:389", "ldaps://b.example:3636", "ldap://[::1]:1389", "ldaps://[fe80::1%eth0]:636"]
        );
        assert_eq!(
            shown("ldap:///o=base??sub, ldap://h:/").unwrap(),
            ["ldap://localhost:389", "ldap://h:389"]
        );
    }

    #[test]
    fn a_socket_is_a_path_with_its_slashes_encoded() {
        assert_eq!(shown("ldapi://%2ftmp%2Fa%20b/").unwrap(), ["ldapi /tmp/a b"]);
        assert_eq!(shown("ldapi:///").unwrap(), ["ldapi /var/run/slapd/ldapi"]);
    }

    #[test]
    fn what_is_no_server_spoils_the_list() {
        for text in [
            "",
            ", ,",
            "localhost",
            "http://a",
            "ldap://a:x",
            "ldap://a:0",
            "ldap://a:70000",
            "ldap://[::1",
            "ldap://[::1]x",
            "ldap://a, b",
            "ldap://us\u{e9}r@host",
            "ldapi://%2",
            "ldapi://%zz",
            "ldapi://%00",
            "ldapi://%\u{20ac}",
            "ldapi://%ff",
        ] {
            assert_eq!(Uri::list(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "(ldap|ldaps|ldapi)?[:/\\[\\]%,.a0é ]{0,30}") {
            let _ = Uri::list(&text);
        }
    }
}
