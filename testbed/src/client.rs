//! A small POP3 client, for tests that need more than a dialogue can say.

use crate::Outcome;
use crate::wire::Wire;

/// A client whose session has begun.
pub struct Client<W> {
    wire: W,
    received: Vec<u8>,
    greeting: String,
}

impl<W: Wire> Client<W> {
    /// Logs in as `alice`; the greeting has not been read yet.
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub fn log_in(wire: W) -> Outcome<Client<W>> {
        let mut client = Client::greeted(wire)?;
        client.command("USER alice")?;
        client.command("PASS secret")?;
        Ok(client)
    }

    /// Begins behind the greeting.
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub fn greeted(wire: W) -> Outcome<Client<W>> {
        let mut client = Client { wire, received: Vec::new(), greeting: String::new() };
        client.greeting = client.reply("the greeting")?;
        Ok(client)
    }

    /// Begins behind the login, with `+OK logged in.`
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub fn logged_in(wire: W) -> Outcome<Client<W>> {
        let mut client = Client { wire, received: Vec::new(), greeting: String::new() };
        client.reply("being logged in")?;
        Ok(client)
    }

    /// The greeting, without its end; empty if it was not heard here.
    #[must_use]
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Gives a command and returns its reply, one line.
    ///
    /// # Errors
    /// The reply is not `+OK`.
    pub fn command(&mut self, command: &str) -> Outcome<String> {
        self.say(command)?;
        self.reply(command)
    }

    /// Sends a line and waits for nothing.
    ///
    /// # Errors
    /// What the wire reports.
    pub fn say(&mut self, line: &str) -> Outcome {
        Ok(self.wire.send(format!("{line}\r\n").as_bytes())?)
    }

    /// Gives a command and returns the lines behind the first one of its
    /// reply, without byte-stuffing.
    ///
    /// # Errors
    /// The reply is not `+OK`, or has no end.
    pub fn listing(&mut self, command: &str) -> Outcome<Vec<String>> {
        self.command(command)?;
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line == "." {
                return Ok(lines);
            }
            lines.push(line.strip_prefix('.').map_or(line.clone(), str::to_owned));
        }
    }

    /// Says QUIT, and waits until the server has closed.
    ///
    /// # Errors
    /// The reply is not `+OK`, or something follows it.
    pub fn quit(mut self) -> Outcome {
        self.command("QUIT")?;
        let rest = self.wire.receive()?;
        if rest.is_empty() && self.received.is_empty() { Ok(()) } else { Err("more behind QUIT".into()) }
    }

    fn reply(&mut self, to: &str) -> Outcome<String> {
        let line = self.line()?;
        if line.starts_with("+OK") { Ok(line) } else { Err(format!("to {to}: {line}").into()) }
    }

    /// The server's next line, without its end.
    ///
    /// # Errors
    /// There is none.
    pub fn line(&mut self) -> Outcome<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let octets = self.wire.receive()?;
            if octets.is_empty() {
                return Err("the server has closed".into());
            }
            self.received.extend(octets);
        }
    }
}
