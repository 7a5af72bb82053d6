//! HTTP/1.1 on loopback: an issuer's server, and what can go wrong with one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Outcome, PATIENCE};

/// Most octets of a request.
const LIMIT: usize = 64 * 1024;

/// What is answered to whoever asks for a path.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This JSON, with status 200.
    Json(String),
    /// This status, and JSON that seems to be right.
    Status(u16, String),
    /// Another place.
    Elsewhere(String),
    /// The first half of this JSON, and the end.
    Half(String),
    /// Octets without end.
    Endless,
    /// A header without end.
    EndlessHead,
    /// One octet now and then, without end.
    Drip,
    /// Nothing, until the other side gives up.
    Silence,
    /// The end at once.
    End,
    /// To a form with one of these tokens, from a client who shows the right
    /// name and secret, this JSON (RFC 7662 section 2).
    Introspection {
        /// The client's name and secret, with a colon between them.
        client: String,
        /// Tokens, and what is said of them; of others it is said that they are
        /// not active.
        tokens: BTreeMap<String, String>,
    },
}

/// What a connection is.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

type Wrap = dyn Fn(TcpStream) -> Outcome<Box<dyn Stream>> + Send + Sync;

/// A running server. Dropping it ends it.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    answers: Mutex<BTreeMap<String, (Answer, usize)>>,
    wrap: Box<Wrap>,
    over: AtomicBool,
}

impl Server {
    /// In clear.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start() -> Outcome<Server> {
        Server::new("http", Box::new(|connection| Ok(Box::new(connection))))
    }

    /// Over TLS, which `wrap` speaks.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start_tls(
        wrap: impl Fn(TcpStream) -> Outcome<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Outcome<Server> {
        Server::new("https", Box::new(wrap))
    }

    fn new(scheme: &'static str, wrap: Box<Wrap>) -> Outcome<Server> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { answers: Mutex::default(), wrap, over: AtomicBool::new(false) });
        let listening = Arc::clone(&shared);
        let listener = thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if listening.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&listening);
                // What a client does to its connection is for it to say.
                thread::spawn(move || shared.serve(connection));
            }
        });
        Ok(Server { address, scheme, shared, listener: Some(listener) })
    }

    /// From now on, `answer` to whoever asks for `path`.
    pub fn answer(&self, path: &str, answer: Answer) {
        let mut answers = self.shared.answers();
        let asked = answers.get(path).map_or(0, |(_, asked)| *asked);
        answers.insert(path.to_owned(), (answer, asked));
    }

    /// How often somebody has asked for `path`.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.shared.answers().get(path).map_or(0, |(_, asked)| *asked)
    }

    /// Where `path` is to be had.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        self.listener.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn answers(&self) -> MutexGuard<'_, BTreeMap<String, (Answer, usize)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, connection: TcpStream) -> Outcome {
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let mut stream = (self.wrap)(connection)?;
        let (head, form) = request(&mut stream)?;
        let path = head.split(' ').nth(1).ok_or("no path")?;
        let answer = self.answers().get_mut(path).map(|(answer, asked)| {
            *asked += 1;
            answer.clone()
        });
        answer.unwrap_or(Answer::Status(404, String::new())).give(&head, &form, &mut stream)
    }
}

/// Head and body of a request.
fn request(stream: &mut dyn Stream) -> Outcome<(String, String)> {
    let mut octets = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err("half a request".into()),
            count => octets.extend_from_slice(&buffer[..count]),
        }
        if octets.len() > LIMIT {
            return Err("too long a request".into());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

impl Answer {
    fn give(self, head: &str, form: &str, stream: &mut dyn Stream) -> Outcome {
        match self {
            Answer::Json(json) => whole(stream, 200, "", &json)?,
            Answer::Status(status, json) => whole(stream, status, "", &json)?,
            Answer::Elsewhere(url) => whole(stream, 302, &format!("Location: {url}\r\n"), "")?,
            Answer::Half(json) => {
                let length = json.len();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", &json[..length / 2])?;
            }
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                while stream.write_all(&[b' '; 4096]).is_ok() {}
            }
            Answer::EndlessHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                while stream.write_all(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").is_ok() {}
            }
            Answer::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")?;
                while stream.write_all(b" ").and_then(|()| stream.flush()).is_ok() {
                    sleep(Duration::from_millis(50));
                }
            }
            Answer::Silence => while stream.read(&mut [0; 64])? > 0 {},
            Answer::End => {}
            Answer::Introspection { client, tokens } => {
                let shown = format!("Basic {}", STANDARD.encode(client));
                if header(head, "authorization") != Some(&shown) || !head.starts_with("POST ") {
                    return whole(stream, 401, "WWW-Authenticate: Basic\r\n", "{}");
                }
                let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
                let said = tokens.get(token).map_or("{\"active\":false}", String::as_str);
                whole(stream, 200, "", said)?;
            }
        }
        Ok(stream.flush()?)
    }
}

fn whole(stream: &mut dyn Stream, status: u16, headers: &str, body: &str) -> Outcome {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\
        Connection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes())?;
    Ok(stream.flush()?)
}
