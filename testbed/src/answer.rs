//! What a client says that cannot be written down before the server has
//! spoken: it is made from the server's last line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::{Fault, Outcome, cram, scram};

/// Who answers, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A challenge of CRAM.
    Cram(cram::Answer),
    /// A message of SCRAM.
    Scram(scram::Answer),
    /// A greeting with a timestamp: APOP with this user and password (RFC 1939
    /// section 7).
    Apop(String, String),
}

impl Answer {
    /// Reads `MECHANISM USER PASSWORD`; the user may have spaces in it.
    ///
    /// # Errors
    /// There are fewer than three words, or the mechanism has another name.
    pub fn parse(text: &str) -> Outcome<Answer> {
        if let Some(rest) = text.strip_prefix("apop ") {
            let (user, password) = rest.rsplit_once(' ').ok_or("<apop USER PASSWORD>")?;
            return Ok(Answer::Apop(user.to_owned(), password.to_owned()));
        }
        if text.starts_with("scram") {
            return scram::Answer::parse(text).map(Answer::Scram);
        }
        cram::Answer::parse(text).map(Answer::Cram)
    }

    /// The line that answers `line`, the server's last one; both end in CRLF.
    ///
    /// # Errors
    /// There is nothing in `line` that could be answered.
    pub fn to(&self, line: &[u8]) -> Outcome<Vec<u8>> {
        match self {
            Answer::Cram(answer) => answer.to(line),
            Answer::Scram(answer) => answer.to(line),
            Answer::Apop(user, password) => apop(line, user, password),
        }
    }
}

/// Mechanism, user and password of `MECHANISM USER PASSWORD`.
pub(crate) fn words(text: &str) -> Outcome<(&str, &str, &str)> {
    let words = text.split_once(' ').and_then(|(mechanism, rest)| Some((mechanism, rest.rsplit_once(' ')?)));
    let (mechanism, (user, password)) = words.ok_or("<MECHANISM USER PASSWORD>")?;
    Ok((mechanism, user, password))
}

/// What stands in base64 in `line`, a server's challenge that ends in CRLF.
pub(crate) fn challenge(line: &[u8]) -> Outcome<Vec<u8>> {
    let base64 = line.strip_prefix(b"+ ").and_then(|rest| rest.strip_suffix(b"\r\n"));
    Ok(STANDARD.decode(base64.ok_or("there is no challenge to answer")?)?)
}

fn apop(greeting: &[u8], user: &str, password: &str) -> Outcome<Vec<u8>> {
    let greeting = std::str::from_utf8(greeting)?;
    let timestamp = greeting.find('<').and_then(|start| Some(&greeting[start..=greeting.find('>')?]));
    let timestamp = timestamp.ok_or_else(|| Fault::from("the greeting has no timestamp"))?;
    let digest = Md5::new().chain_update(timestamp).chain_update(password).finalize();
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("APOP {user} {digits}\r\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn the_answer_to_a_greeting_is_that_of_the_rfc() {
        let answer = Answer::parse("apop mrose tanstaaf").unwrap();
        let line = answer.to(b"+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n").unwrap();
        assert_eq!(line, b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n");
        assert!(answer.to(b"+OK Hello there.\r\n").is_err());
    }

    #[test]
    fn an_answer_has_three_words_and_a_known_mechanism() {
        for wrong in ["closed", "apop alice", "scram-sha-1 alice", "plain alice secret"] {
            assert!(Answer::parse(wrong).is_err(), "{wrong}");
        }
    }
}
