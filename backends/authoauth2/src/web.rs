//! The one server that is asked, over HTTPS. Whatever it does but answer is
//! *unavailable*: nothing that it says or leaves out can be waited for long, or
//! fill the memory.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use authlib::Secret;
use authlib::account::Unavailable;
use authlib::printable::printable;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Most octets of an answer.
const LIMIT: u64 = 256 * 1024;
/// Most octets before it.
const HEAD_LIMIT: usize = 16 * 1024;

/// Who asks.
pub(crate) struct Web {
    agent: Agent,
}

/// An address that a token, or a key, may be asked for at: `https`, or `http` on
/// this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url(Uri);

impl Url {
    /// # Errors
    /// It is none, another scheme, or holds a name and a password.
    pub(crate) fn parse(setting: &str, text: &str) -> Result<Self, Unavailable> {
        let refused = |why| Unavailable::new(format!("{setting} {why}"));
        let url: Uri = text.parse().map_err(|_| refused("is no URL"))?;
        let (Some(host), Some(authority)) = (url.host(), url.authority()) else {
            return Err(refused("is no URL"));
        };
        if authority.as_str().contains('@') {
            return Err(refused("holds a name or a password"));
        }
        match url.scheme_str() {
            Some("https") => Ok(Url(url)),
            Some("http") if is_here(host) => Ok(Url(url)),
            _ => Err(refused("is not https")),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

/// Whether `host` can be nothing but this machine.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

impl Web {
    /// Asks for at most `patience`. Servers are known by what the authorities in
    /// `authorities` have signed; without it none is, and `https` is not to be
    /// had.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub(crate) fn new(authorities: Option<&Path>, patience: Duration) -> Result<Self, Unavailable> {
        let roots = authorities.map_or(Ok(Vec::new()), certificates)?;
        let provider = tlsclient::provider();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(patience))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .max_response_header_size(HEAD_LIMIT)
            // A connection that is kept may be closed just when it is needed.
            .max_idle_connections(0)
            .user_agent("postrider")
            .accept("application/json")
            .build();
        Ok(Web { agent: config.into() })
    }

    /// What is at `url`.
    ///
    /// # Errors
    /// It cannot be had whole, within the limits, with status 200.
    pub(crate) fn get(&self, url: &Url) -> Result<Secret, Unavailable> {
        body(url, self.agent.get(&url.0).call())
    }

    /// What `url` says to the form `form`, from whoever `authorization` shows
    /// (the value of the header).
    ///
    /// # Errors
    /// As [`Web::get`].
    pub(crate) fn post(
        &self,
        url: &Url,
        authorization: &Secret,
        form: &Secret,
    ) -> Result<Secret, Unavailable> {
        let request = self.agent.post(&url.0).content_type("application/x-www-form-urlencoded");
        body(url, request.header("Authorization", authorization.expose()).send(form.expose()))
    }
}

fn body(url: &Url, response: Result<Response<Body>, ureq::Error>) -> Result<Secret, Unavailable> {
    let failed = |why: &str| Unavailable::new(printable(format!("{}: {why}", url.0).as_bytes()));
    let because = |error: ureq::Error| failed(&error.to_string());
    let mut response = response.map_err(because)?;
    if response.status() != 200 {
        return Err(failed(&format!("the answer is {}", response.status().as_u16())));
    }
    let octets = response.body_mut().with_config().limit(LIMIT).read_to_vec().map_err(because)?;
    Ok(Secret::new(octets))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Unavailable> {
    let found = tlsclient::certificates(path)?;
    Ok(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn only_this_machine_is_asked_in_clear() {
        for text in [
            "https://id.example.com/keys",
            "HTTPS://id.example.com",
            "http://127.0.0.1:8080/keys",
            "http://127.8.9.1/keys",
            "http://[::1]:8080/keys",
            "http://localhost/keys",
        ] {
            assert!(Url::parse("OAUTH2_JWKS_URL", text).is_ok(), "{text}");
        }
        for text in [
            "http://id.example.com/keys",
            "http://127.0.0.1.example.com/keys",
            "http://localhost.example.com/keys",
            "http://0.0.0.0/keys",
            "ftp://127.0.0.1/keys",
            "file:///etc/passwd",
            "/keys",
            "id.example.com",
            "https://alice:secret@id.example.com/keys",
            "http://127.0.0.1@id.example.com/",
            "https://",
            "",
            "a b",
        ] {
            assert!(Url::parse("OAUTH2_JWKS_URL", text).is_err(), "{text}");
        }
    }
}
