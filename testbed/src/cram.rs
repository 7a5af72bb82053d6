//! A client's answer to a CRAM challenge (RFC 2195), calculated without any of
//! our crates, so that it can judge them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;

use crate::answer::{challenge, words};
use crate::{Fault, Outcome};

/// Who answers, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    mechanism: Mechanism,
    user: String,
    password: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Md5,
    Sha1,
    Sha256,
}

impl Answer {
    /// Reads `MECHANISM USER PASSWORD`; the user may have spaces in it.
    ///
    /// # Errors
    /// There are fewer than three words, or the mechanism has another name.
    pub fn parse(text: &str) -> Outcome<Answer> {
        let (mechanism, user, password) = words(text)?;
        let mechanism = match mechanism {
            "cram-md5" => Mechanism::Md5,
            "cram-sha1" => Mechanism::Sha1,
            "cram-sha256" => Mechanism::Sha256,
            _ => return Err(format!("no mechanism `{mechanism}`: cram-md5, cram-sha1, cram-sha256").into()),
        };
        Ok(Answer { mechanism, user: user.to_owned(), password: password.to_owned() })
    }

    /// The line that answers `line`, the server's challenge; both end in CRLF.
    ///
    /// # Errors
    /// `line` is no challenge.
    pub fn to(&self, line: &[u8]) -> Outcome<Vec<u8>> {
        let challenge = challenge(line)?;
        let digest = match self.mechanism {
            Mechanism::Md5 => digest::<Hmac<Md5>>(&self.password, &challenge)?,
            Mechanism::Sha1 => digest::<Hmac<Sha1>>(&self.password, &challenge)?,
            Mechanism::Sha256 => digest::<Hmac<Sha256>>(&self.password, &challenge)?,
        };
        Ok(format!("{}\r\n", STANDARD.encode(format!("{} {digest}", self.user))).into_bytes())
    }
}

/// In lower-case hexadecimal digits.
fn digest<H: Mac + KeyInit>(password: &str, challenge: &[u8]) -> Result<String, Fault> {
    let digest = <H as KeyInit>::new_from_slice(password.as_bytes())?.chain_update(challenge).finalize();
    Ok(digest.into_bytes().iter().map(|octet| format!("{octet:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn the_answer_is_that_of_the_rfc() {
        let answer = Answer::parse("cram-md5 tim tanstaaftanstaaf").unwrap();
        let challenge = b"+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n";
        let line = answer.to(challenge).unwrap();
        assert_eq!(line, b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n");
    }

    #[test]
    fn what_is_no_challenge_has_no_answer() {
        let answer = Answer::parse("cram-sha1 a b secret").unwrap();
        for line in [b"".as_slice(), b"+OK\r\n", b"+ #\r\n", b"+ PGE+\n"] {
            assert!(answer.to(line).is_err());
        }
    }

    #[test]
    fn an_answer_has_three_words_and_a_known_mechanism() {
        for wrong in ["closed", "cram-md5 alice", "plain alice secret"] {
            assert!(Answer::parse(wrong).is_err(), "{wrong}");
        }
    }
}
