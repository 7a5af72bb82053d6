//! SCRAM that is bound to the channel (RFC 5802 section 6, RFC 9266, RFC 5929).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use testbed::client::Client;
use testbed::courier::leave_out;
use testbed::scram::Answer;
use testbed::tls::{Hello, Tls};

use crate::certificate::openssl;
use crate::house::House;

const MESSAGE: &[u8] = b"Subject: one\n\nhello\n";
const LISTED: [(&str, &str); 1] = [("POP3AUTH", "PLAIN SCRAM-SHA-256")];

fn alice() -> Answer {
    Answer::parse("scram-sha-256 alice secret").unwrap()
}

/// Plays `answer` inside `tls`; the last line that is heard, which is the session's
/// first if that has begun.
fn play(tls: Tls, mechanism: &str, answer: &Answer) -> String {
    let mut client = Client::greeted(tls).unwrap();
    client.say(&format!("AUTH {mechanism}")).unwrap();
    loop {
        let line = client.line().unwrap();
        if !line.starts_with("+ ") {
            return line;
        }
        let answer = answer.to(format!("{line}\r\n").as_bytes()).unwrap();
        client.say(std::str::from_utf8(answer.trim_ascii_end()).unwrap()).unwrap();
    }
}

#[test]
fn an_exchange_is_bound_to_the_session_that_it_runs_in() {
    let mut house = House::new(MESSAGE, &LISTED);
    let plus = "SCRAM-SHA-256-PLUS";
    let tls = house.implicit();
    let bound = alice().bound("tls-exporter", &tls.exported().unwrap());
    assert_eq!(play(tls, plus, &bound), "+OK logged in.");
    let tls = house.by_stls();
    let bound = alice().bound("tls-exporter", &tls.exported().unwrap());
    assert_eq!(play(tls, plus, &bound), "+OK logged in.");
    // Somebody in the middle passes on what was said in another session.
    assert!(play(house.implicit(), plus, &bound).starts_with("-ERR [AUTH]"));
    // He cannot take -PLUS away either: the client says that it could have.
    let misled = alice().believing_that_nobody_can_bind();
    assert!(play(house.implicit(), "SCRAM-SHA-256", &misled).starts_with("-ERR [AUTH]"));
    assert_eq!(play(house.implicit(), "SCRAM-SHA-256", &alice()), "+OK logged in.");
}

#[test]
fn version_1_2_binds_to_the_servers_certificate() {
    let mut house = House::new(MESSAGE, &LISTED);
    let hello = Hello { only_1_2: true, ..Hello::default() };
    for _ in 0..2 {
        let stream = house.service.connect_for_tls().unwrap();
        let tls = hello.begin(stream, &house.certificates).unwrap();
        // Not by us: what openssl(1) says of the file that is served.
        let certificate = house.certificates.server().0;
        let said = openssl(&["x509", "-noout", "-fingerprint", "-sha256"], &certificate);
        let digits = said.trim().rsplit('=').next().unwrap().replace(':', "");
        let octets =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
        let bound = alice().bound("tls-server-end-point", &octets.collect::<Vec<_>>());
        assert_eq!(play(tls, "SCRAM-SHA-256-PLUS", &bound), "+OK logged in.");
    }
    let stream = house.service.connect_for_tls().unwrap();
    let tls = hello.begin(stream, &house.certificates).unwrap();
    let bound = alice().bound("tls-exporter", &tls.exported().unwrap());
    assert!(play(tls, "SCRAM-SHA-256-PLUS", &bound).starts_with("-ERR [AUTH]"));
}

#[test]
fn plus_is_announced_inside_tls_where_scram_is_listed() {
    let mut house = House::new(MESSAGE, &LISTED);
    let mut client = Client::greeted(house.service.connect().unwrap()).unwrap();
    assert!(client.listing("CAPA").unwrap().contains(&"SASL PLAIN SCRAM-SHA-256".to_owned()));
    assert!(client.command("AUTH SCRAM-SHA-256-PLUS").unwrap_err().to_string().contains("not available"));
    let inside = "SASL PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    let mut client = Client::greeted(house.by_stls()).unwrap();
    assert!(client.listing("CAPA").unwrap().contains(&inside.to_owned()));
    let mut house = House::with_message(MESSAGE);
    let mut client = Client::greeted(house.by_stls()).unwrap();
    assert!(client.listing("CAPA").unwrap().contains(&"SASL PLAIN LOGIN".to_owned()));
    // Who was offered nothing of the kind may say that we cannot.
    let misled = alice().believing_that_nobody_can_bind();
    assert_eq!(play(house.implicit(), "SCRAM-SHA-256", &misled), "+OK logged in.");
}

/// The exchange as the library of mpop and msmtp has it: gsasl(1), which asks for
/// what its channel would have told it.
struct Gsasl {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Gsasl {
    fn begin(binding: &[u8]) -> Option<Gsasl> {
        let mut command = Command::new("gsasl");
        command.args(["--client", "--application-data", "--quiet", "--mechanism=SCRAM-SHA-256-PLUS"]);
        command.args(["--authentication-id=alice", "--password=secret"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        let mut gsasl = Gsasl { child, input, output };
        assert_eq!(gsasl.line(), "SCRAM-SHA-256-PLUS");
        gsasl.say(&STANDARD.encode(binding));
        Some(gsasl)
    }

    fn say(&mut self, text: &str) {
        writeln!(self.input, "{text}").unwrap();
    }

    /// The last word of its next line; what stands before it is for people.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.split_whitespace().next_back().unwrap_or_default().to_owned()
    }
}

impl Drop for Gsasl {
    fn drop(&mut self) {
        let _it_has_ended = self.child.kill();
        let _it_was_killed = self.child.wait();
    }
}

#[test]
fn gnu_sasl_logs_in_bound_to_its_session_and_not_to_another() {
    let mut house = House::new(MESSAGE, &LISTED);
    let tls = house.implicit();
    let other = house.implicit().exported().unwrap();
    for (tls, binding, verdict) in [
        (house.by_stls(), other, "-ERR [AUTH] "),
        (tls.exported().map(|own| (tls, own, "+OK logged in.")).unwrap()),
    ] {
        let Some(mut gsasl) = Gsasl::begin(&binding) else {
            return leave_out("GNU SASL, which is not there").unwrap();
        };
        let mut client = Client::greeted(tls).unwrap();
        client.say(&format!("AUTH SCRAM-SHA-256-PLUS {}", gsasl.line())).unwrap();
        let said = loop {
            let line = client.line().unwrap();
            let Some(challenge) = line.strip_prefix("+ ") else { break line };
            gsasl.say(challenge);
            client.say(&gsasl.line()).unwrap();
        };
        assert!(said.starts_with(verdict), "{said}");
    }
}
