//! How a client logs in with each mechanism, written without any of our
//! crates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Outcome;
use crate::answer::Answer;
use crate::client::Client;
use crate::scram;
use crate::wire::Wire;

/// What somebody shows to be let in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
    /// A bearer token.
    pub token: String,
    /// Whom the client says to be that has a certificate of `user`.
    pub identity: String,
}

impl Default for Credentials {
    /// Those of `alice`; the token is nobody's.
    fn default() -> Self {
        let secret = || "secret".to_owned();
        let alice = || "alice".to_owned();
        Credentials { user: alice(), password: secret(), token: secret(), identity: alice() }
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
        Credentials {
            user: self.user.clone(),
            password: spoilt(&self.password),
            token: spoilt(&self.token),
            identity: spoilt(&self.identity),
        }
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
    /// AUTH SCRAM-SHA-1.
    ScramSha1,
    /// AUTH SCRAM-SHA-256.
    ScramSha256,
    /// APOP.
    Apop,
    /// AUTH EXTERNAL, with what couriertls tells of a verified certificate.
    External,
    /// AUTH OAUTHBEARER.
    Oauthbearer,
    /// AUTH XOAUTH2.
    Xoauth2,
}

impl Mechanism {
    const ALL: [Mechanism; 12] = [
        Mechanism::Pass,
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::CramSha1,
        Mechanism::CramSha256,
        Mechanism::ScramSha1,
        Mechanism::ScramSha256,
        Mechanism::Apop,
        Mechanism::External,
        Mechanism::Oauthbearer,
        Mechanism::Xoauth2,
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
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::Apop => "APOP",
            Mechanism::External => "EXTERNAL",
            Mechanism::Oauthbearer => "OAUTHBEARER",
            Mechanism::Xoauth2 => "XOAUTH2",
        }
    }

    /// The names of all that AUTH takes.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        let commands = [Mechanism::Pass, Mechanism::Apop];
        Mechanism::ALL.iter().filter(|mechanism| !commands.contains(mechanism)).map(|m| m.name()).collect()
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
    pub fn enter(self, connection: impl Wire, credentials: &Credentials) -> Outcome<bool> {
        let mut client = Client::greeted(connection)?;
        let answer = self.converse(&mut client, credentials)?;
        if answer.starts_with("-ERR") && !answer.contains("[SYS/") {
            return Ok(false);
        }
        if !answer.starts_with("+OK") {
            return Err(format!("the answer is {answer:?}").into());
        }
        let stat = client.command("STAT")?;
        if !stat.starts_with("+OK 1 ") {
            return Err(format!("to STAT: {stat}").into());
        }
        client.quit()?;
        Ok(true)
    }

    /// The answer to the last line of the exchange.
    fn converse(self, client: &mut Client<impl Wire>, credentials: &Credentials) -> Outcome<String> {
        let Credentials { user, password, token, identity } = credentials;
        match self {
            Mechanism::Pass => {
                client.command(&format!("USER {user}"))?;
                client.say(&format!("PASS {password}"))?;
            }
            Mechanism::Plain => {
                client.say(&format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{password}"))))?;
            }
            Mechanism::Login => {
                client.say("AUTH LOGIN")?;
                for text in [user, password] {
                    let prompt = client.line()?;
                    if !prompt.starts_with("+ ") {
                        return Ok(prompt);
                    }
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
                client.say(String::from_utf8(answer)?.trim_end())?;
            }
            Mechanism::ScramSha1 | Mechanism::ScramSha256 => return self.prove(client, user, password),
            Mechanism::Apop => {
                let answer = Answer::Apop(user.clone(), password.clone());
                let command = answer.to(client.greeting().as_bytes())?;
                client.say(String::from_utf8(command)?.trim_end())?;
            }
            Mechanism::External => client.say(&format!("AUTH EXTERNAL {}", STANDARD.encode(identity)))?,
            Mechanism::Oauthbearer => {
                let message = format!("n,a={user},\x01host=localhost\x01auth=Bearer {token}\x01\x01");
                return self.show(client, &message, "\x01");
            }
            Mechanism::Xoauth2 => {
                return self.show(client, &format!("user={user}\x01auth=Bearer {token}\x01\x01"), "");
            }
        }
        client.line()
    }

    /// SCRAM: the server has to show that it has the keys before it accepts.
    fn prove(self, client: &mut Client<impl Wire>, user: &str, password: &str) -> Outcome<String> {
        let name = self.name().to_ascii_lowercase();
        let answer = scram::Answer::parse(&format!("{name} {user} {password}"))?;
        client.say(&format!("AUTH {}", self.name()))?;
        let mut heard = vec![client.line()?];
        while let Some(challenge) = heard.last().filter(|line| line.starts_with("+ ") && heard.len() < 4) {
            let line = answer.to(format!("{challenge}\r\n").as_bytes())?;
            client.say(String::from_utf8(line)?.trim_end())?;
            heard.push(client.line()?);
        }
        let line = |at: usize| format!("{}\r\n", heard[at]).into_bytes();
        match heard.last() {
            Some(accepted) if accepted.starts_with("+OK") => match heard.len() {
                4 if answer.is_signed(&line(1), &line(2))? => Ok(accepted.clone()),
                _ => Err(format!("accepted without a signature: {heard:?}").into()),
            },
            last => Ok(last.cloned().unwrap_or_default()),
        }
    }

    /// Sends `message` as the initial response; if the server says why it does
    /// not do, that is answered with `noted`.
    fn show(self, client: &mut Client<impl Wire>, message: &str, noted: &str) -> Outcome<String> {
        client.say(&format!("AUTH {} {}", self.name(), STANDARD.encode(message)))?;
        let answer = client.line()?;
        match answer.strip_prefix("+ ") {
            Some(reason) if STANDARD.decode(reason)?.starts_with(b"{\"status\":") => {
                client.say(&STANDARD.encode(noted))?;
                client.line()
            }
            _ => Ok(answer),
        }
    }
}
