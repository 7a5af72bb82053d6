//! A client of SCRAM (RFC 5802, RFC 7677), calculated without any of our
//! crates, so that it can judge them.
//!
//! Its nonce is always the same, so that each message can be made from the
//! server's last line alone; for a test that is random enough.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::answer::{challenge, words};
use crate::{Fault, Outcome};

/// The client's part of the nonce: that of RFC 7677.
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
/// What a client says that does not bind, in base64 too.
const HEADER: (&str, &str) = ("n,,", "biws");

/// Who answers, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    hash: Hash,
    user: String,
    password: String,
    header: String,
    binding: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
}

impl Answer {
    /// Reads `scram-sha-1 USER PASSWORD`, or the same with `scram-sha-256`.
    ///
    /// # Errors
    /// It is anything else.
    pub fn parse(text: &str) -> Outcome<Answer> {
        let (mechanism, user, password) = words(text)?;
        let hash = match mechanism {
            "scram-sha-1" => Hash::Sha1,
            "scram-sha-256" => Hash::Sha256,
            _ => return Err(format!("no mechanism `{mechanism}`: scram-sha-1, scram-sha-256").into()),
        };
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let (header, binding) = (HEADER.0.to_owned(), HEADER.1.to_owned());
        Ok(Answer { hash, user, password: password.to_owned(), header, binding })
    }

    /// The same, bound to a channel whose data of the type `kind` these are.
    #[must_use]
    pub fn bound(self, kind: &str, data: &[u8]) -> Answer {
        let header = format!("p={kind},,");
        let binding = STANDARD.encode([header.as_bytes(), data].concat());
        Answer { header, binding, ..self }
    }

    /// The same by a client that could bind, and believes that the server
    /// cannot (RFC 5802 section 6).
    #[must_use]
    pub fn believing_that_nobody_can_bind(self) -> Answer {
        Answer { header: "y,,".to_owned(), binding: STANDARD.encode("y,,"), ..self }
    }

    /// The line that answers `line`, the server's last one; both end in CRLF.
    ///
    /// # Errors
    /// `line` is no message of SCRAM.
    pub fn to(&self, line: &[u8]) -> Outcome<Vec<u8>> {
        let message = message(line)?;
        let answer = match message.as_bytes() {
            b"" => STANDARD.encode(format!("{}{}", self.header, self.bare())),
            [b'r', b'=', ..] => STANDARD.encode(self.last(&message)?),
            [b'v', b'=', ..] => String::new(),
            _ => return Err(format!("the server says {message:?}").into()),
        };
        Ok(format!("{answer}\r\n").into_bytes())
    }

    /// Whether `line` shows that the server has the keys, which has said
    /// `server_first` before; both end in CRLF.
    ///
    /// # Errors
    /// One of them is no message of SCRAM.
    pub fn is_signed(&self, server_first: &[u8], line: &[u8]) -> Outcome<bool> {
        let (auth_message, salted) = self.calculate(&message(server_first)?)?;
        let server_key = self.hmac(&salted, b"Server Key")?;
        let signature = self.hmac(&server_key, auth_message.as_bytes())?;
        Ok(message(line)? == format!("v={}", STANDARD.encode(signature)))
    }

    fn bare(&self) -> String {
        format!("n={},r={NONCE}", self.user)
    }

    /// What the last message says before the proof.
    fn without_proof(&self, server_first: &str) -> String {
        let nonce = server_first.split(',').next().unwrap_or_default();
        format!("c={},{nonce}", self.binding)
    }

    fn last(&self, server_first: &str) -> Outcome<String> {
        let (auth_message, salted) = self.calculate(server_first)?;
        let client_key = self.hmac(&salted, b"Client Key")?;
        let stored_key = match self.hash {
            Hash::Sha1 => Sha1::digest(&client_key).to_vec(),
            Hash::Sha256 => Sha256::digest(&client_key).to_vec(),
        };
        let signature = self.hmac(&stored_key, auth_message.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(one, other)| one ^ other).collect();
        Ok(format!("{},p={}", self.without_proof(server_first), STANDARD.encode(proof)))
    }

    /// AuthMessage and SaltedPassword.
    fn calculate(&self, server_first: &str) -> Outcome<(String, Vec<u8>)> {
        let auth_message = format!("{},{server_first},{}", self.bare(), self.without_proof(server_first));
        let value = |name: &str| server_first.split(',').find_map(|attribute| attribute.strip_prefix(name));
        let (salt, iterations) = value("s=").zip(value("i=")).ok_or("the server names no salt")?;
        let salt = STANDARD.decode(salt)?;
        let mut block = self.hmac(self.password.as_bytes(), &[salt.as_slice(), &[0, 0, 0, 1]].concat())?;
        let mut salted = block.clone();
        for _ in 1..iterations.parse::<u32>()? {
            block = self.hmac(self.password.as_bytes(), &block)?;
            salted.iter_mut().zip(&block).for_each(|(sum, octet)| *sum ^= octet);
        }
        Ok((auth_message, salted))
    }

    fn hmac(&self, key: &[u8], text: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(match self.hash {
            Hash::Sha1 => {
                let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key)?;
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
            Hash::Sha256 => {
                let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)?;
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
        })
    }
}

/// The server's message in `line`.
fn message(line: &[u8]) -> Outcome<String> {
    Ok(String::from_utf8(challenge(line)?)?)
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    fn line(message: &str) -> Vec<u8> {
        format!("+ {}\r\n", STANDARD.encode(message)).into_bytes()
    }

    fn said(answer: &[u8]) -> String {
        let base64 = answer.strip_suffix(b"\r\n").unwrap();
        String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap()
    }

    #[test]
    fn the_conversation_is_that_of_the_rfc() {
        let answer = Answer::parse("scram-sha-256 user pencil").unwrap();
        assert_eq!(said(&answer.to(b"+ \r\n").unwrap()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first =
            line("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert_eq!(
            said(&answer.to(&server_first).unwrap()),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let server_last = line("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(answer.is_signed(&server_first, &server_last).unwrap());
        assert_eq!(answer.to(&server_last).unwrap(), b"\r\n");
        assert!(!answer.is_signed(&server_first, &line("v=AAAA")).unwrap());
    }

    #[test]
    fn what_is_no_message_has_no_answer() {
        let answer = Answer::parse("scram-sha-1 a b secret").unwrap();
        for line in [b"".as_slice(), b"+OK\r\n", b"+ #\r\n", b"+ PGE+\r\n", b"+ cj1h\r\n"] {
            assert!(answer.to(line).is_err());
        }
    }
}
