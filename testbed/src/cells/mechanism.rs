//! How a client logs in with each mechanism, written without any of our
//! crates.

use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cram::Answer;
use crate::wire::Wire;
use crate::{Fault, Outcome};

/// What somebody shows to be let in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
    /// A bearer token.
    pub token: String,
}

impl Default for Credentials {
    /// Those of `alice`; the token is nobody's.
    fn default() -> Self {
        Credentials { user: "alice".to_owned(), password: "secret".to_owned(), token: "secret".to_owned() }
    }
}

impl Credentials {
    /// The same with a wrong password and a token that says something else.
    #[must_use]
    pub fn wrong(&self) -> Credentials {
        let spoilt = |text: &str| {
            let (head, last) = text.split_at(text.len().saturating_sub(1));
            format!("{head}{}", if last == "A" { "B" } else { "A" })
        };
        Credentials { user: self.user.clone(), password: spoilt(&self.password), token: spoilt(&self.token) }
    }
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// USER and PASS.
    Pass,
    /// AUTH PLAIN.
    Plain,
    /// AUTH LOGIN.
    Login,
    /// AUTH CRAM-MD5.
    CramMd5,
    /// AUTH CRAM-SHA1.
    CramSha1,
    /// AUTH CRAM-SHA256.
    CramSha256,
}

impl Mechanism {
    const ALL: [Mechanism; 6] = [
        Mechanism::Pass,
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::CramSha1,
        Mechanism::CramSha256,
    ];

    /// As in the table; those of SASL as they are registered.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Pass => "PASS",
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::CramMd5 => "CRAM-MD5",
            Mechanism::CramSha1 => "CRAM-SHA1",
            Mechanism::CramSha256 => "CRAM-SHA256",
        }
    }

    /// The names of all that AUTH takes.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Mechanism::ALL.iter().filter(|mechanism| **mechanism != Mechanism::Pass).map(|m| m.name()).collect()
    }

    /// The one called `name`.
    pub(super) fn called(name: &str) -> Outcome<Mechanism> {
        let found = Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name);
        found.ok_or_else(|| format!("no mechanism {name}").into())
    }

    /// Whether `credentials` open the maildrop, which has one message.
    ///
    /// # Errors
    /// Anything but a message or a rejection: the answer is *unavailable*, or
    /// none.
    pub fn enter(self, connection: TcpStream, credentials: &Credentials) -> Outcome<bool> {
        let mut client = Client { wire: connection, received: Vec::new() };
        client.expect("+OK")?;
        let answer = self.converse(&mut client, credentials)?;
        if answer.starts_with("-ERR") && !answer.contains("[SYS/") {
            return Ok(false);
        }
        if !answer.starts_with("+OK") {
            return Err(format!("the answer is {answer:?}").into());
        }
        client.say("STAT")?;
        client.expect("+OK 1 ")?;
        client.say("QUIT")?;
        client.expect("+OK")?;
        Ok(true)
    }

    /// The answer to the last line of the exchange.
    fn converse(self, client: &mut Client, credentials: &Credentials) -> Outcome<String> {
        let Credentials { user, password, .. } = credentials;
        match self {
            Mechanism::Pass => {
                client.say(&format!("USER {user}"))?;
                client.expect("+OK")?;
                client.say(&format!("PASS {password}"))?;
            }
            Mechanism::Plain => {
                client.say(&format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{password}"))))?;
            }
            Mechanism::Login => {
                client.say("AUTH LOGIN")?;
                for text in [user, password] {
                    client.expect("+ ")?;
                    client.say(&STANDARD.encode(text))?;
                }
            }
            Mechanism::CramMd5 | Mechanism::CramSha1 | Mechanism::CramSha256 => {
                client.say(&format!("AUTH {}", self.name()))?;
                let challenge = client.line()?;
                if !challenge.starts_with("+ ") {
                    return Ok(challenge);
                }
                let name = self.name().to_ascii_lowercase();
                let answer = Answer::parse(&format!("{name} {user} {password}"))?;
                let answer = answer.to(format!("{challenge}\r\n").as_bytes())?;
                client.wire.send(&answer)?;
            }
        }
        client.line()
    }
}

/// The client's end.
struct Client {
    wire: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn say(&mut self, line: &str) -> Outcome {
        Ok(self.wire.send(format!("{line}\r\n").as_bytes())?)
    }

    fn expect(&mut self, beginning: &str) -> Outcome {
        let line = self.line()?;
        if line.starts_with(beginning) { Ok(()) } else { Err(format!("{line:?}, not {beginning:?}").into()) }
    }

    /// A line, without its end.
    fn line(&mut self) -> Outcome<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let octets = self.wire.receive()?;
            if octets.is_empty() {
                return Err(Fault::from("the server has closed"));
            }
            self.received.extend(octets);
        }
    }
}
