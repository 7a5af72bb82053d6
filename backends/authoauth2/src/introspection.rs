//! The issuer is asked about a token (RFC 7662). What it says is not signed, so
//! it is asked over TLS, and we show who we are.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use authlib::Secret;
use authlib::account::Unavailable;
use authlib::printable::{printable, reason};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::No;
use crate::claims::Claims;
use crate::web::{Url, Web};

/// Most octets of a file with a secret.
const SECRET_LIMIT: u64 = 4096;

/// An end point that knows tokens.
pub(crate) struct Introspection {
    pub(crate) web: Web,
    pub(crate) url: Url,
    pub(crate) client: Client,
}

/// Who we are there.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: ClientSecret,
}

/// How we show it.
pub(crate) enum ClientSecret {
    /// As the settings say.
    Given(Secret),
    /// As a file says, which is read at each question; a line end behind it is
    /// none of it.
    File(PathBuf),
}

impl Introspection {
    /// What is said of `token`, if it is active.
    pub(crate) fn claims(&self, token: &Secret) -> Result<Claims, No> {
        let form = form(token);
        let answer = self.web.post(&self.url, &self.client.authorization()?, &form)?;
        let claims = Claims::parse(answer.expose())
            .map_err(|why| Unavailable::new(format!("the answer about a token {why}")))?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(claims),
            Some(Value::Bool(false)) => Err(No::Rejected("its issuer says that it is not active")),
            _ => Err(No::CannotTell(Unavailable::new(
                "the answer about a token does not say whether it is active",
            ))),
        }
    }
}

impl Client {
    /// RFC 6749 section 2.3.1.
    fn authorization(&self) -> Result<Secret, Unavailable> {
        let secret = self.secret.read()?;
        let pair =
            Zeroizing::new(format!("{}:{}", escaped(self.id.as_bytes()).as_str(), escaped(&secret).as_str()));
        let pair = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        Ok(Secret::new([b"Basic ", pair.as_bytes()].concat()))
    }
}

impl ClientSecret {
    /// The secret itself.
    ///
    /// # Errors
    /// The file cannot be read, or is empty.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
        let path = match self {
            ClientSecret::Given(secret) => return Ok(Zeroizing::new(secret.expose().to_vec())),
            ClientSecret::File(path) => path,
        };
        let shown = printable(path.as_os_str().as_encoded_bytes());
        let failed = |error: std::io::Error| Unavailable::new(format!("{shown}: {}", reason(&error)));
        if !path.metadata().map_err(failed)?.is_file() {
            return Err(Unavailable::new(format!("{shown} is no file")));
        }
        // Reserved at once: a vector that grows leaves copies behind.
        let mut octets = Zeroizing::new(Vec::with_capacity(SECRET_LIMIT as usize + 1));
        File::open(path).and_then(|file| file.take(SECRET_LIMIT).read_to_end(&mut octets)).map_err(failed)?;
        let end =
            octets.iter().rposition(|&octet| octet != b'\n' && octet != b'\r').map_or(0, |last| last + 1);
        octets.truncate(end);
        if octets.is_empty() { Err(Unavailable::new(format!("{shown} is empty"))) } else { Ok(octets) }
    }
}

/// `token=…&token_type_hint=access_token`
fn form(token: &Secret) -> Secret {
    let form =
        Zeroizing::new(format!("token={}&token_type_hint=access_token", escaped(token.expose()).as_str()));
    Secret::copy_of(form.as_bytes())
}

/// Octets as application/x-www-form-urlencoded has them.
fn escaped(octets: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(3 * octets.len()));
    for &octet in octets {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            text.push(char::from(octet));
        } else {
            // A string can always be written to.
            let _ = write!(text, "%{octet:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Client, ClientSecret, form};
    use authlib::Secret;
    use std::fs;

    #[test]
    fn name_secret_and_token_are_escaped() {
        let client =
            Client { id: "mail:pop 3".to_owned(), secret: ClientSecret::Given(Secret::copy_of(b"a+b%")) };
        let shown = client.authorization().unwrap();
        // mail%3Apop%203:a%2Bb%25
        assert_eq!(shown.expose(), b"Basic bWFpbCUzQXBvcCUyMDM6YSUyQmIlMjU=");
        assert_eq!(
            form(&Secret::copy_of(b"a.b+/=&x")).expose(),
            b"token=a.b%2B%2F%3D%26x&token_type_hint=access_token"
        );
    }

    #[test]
    fn a_secret_in_a_file_ends_before_its_line_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = || ClientSecret::File(path.clone()).read().map(|octets| octets.to_vec());
        assert!(secret().is_err());
        fs::write(&path, "hunter2\r\n").unwrap();
        assert_eq!(secret(), Ok(b"hunter2".to_vec()));
        fs::write(&path, "\n").unwrap();
        assert!(secret().is_err());
        assert!(ClientSecret::File(directory.path().to_owned()).read().is_err());
    }
}
