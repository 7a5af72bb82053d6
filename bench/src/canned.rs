//! The limit: a server that answers from memory, touches no disk, checks no
//! password, and whose every reply lies ready. What a POP3 server could come
//! near to on this machine, with this kernel and this client.
//!
//! A thread for each core, each with an epoll of its own on the same sockets.

mod connection;
mod maildrop;

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use self::connection::Connection;
pub(crate) use self::maildrop::line;
use self::maildrop::{Maildrop, read};

/// Tokens of the two listening sockets; connections come behind.
const CLEAR: u64 = 0;
const TLS: u64 = 1;

/// Serves until it is ended: `CLEAR-ADDRESS TLS-ADDRESS CERTIFICATE KEY`, with a
/// maildrop on each line of standard input.
///
/// # Errors
/// It cannot begin.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let [clear, tls, certificate, key] = words else { anyhow::bail!("canned: four words") };
    let [clear, tls] = [clear, tls].map(|address| listen(address));
    let (clear, tls) = (clear?, tls?);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    let config = Arc::new(config);
    let maildrops: HashMap<String, Maildrop> =
        io::stdin().lock().lines().map(|line| read(&line?)).collect::<Result<_>>()?;
    println!("ready");
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let serve = || House { clear: &clear, tls: &tls, config: &config, maildrops: &maildrops }.serve();
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(serve)).collect();
        let own = serve();
        others.into_iter().fold(own, |result, other| result.and(other.join().unwrap_or(Ok(()))))
    })
}

fn listen(address: &str) -> Result<TcpListener> {
    let address: SocketAddr = address.parse()?;
    let listener = TcpListener::bind(address).with_context(|| address.to_string())?;
    // The standard library's queue is short for thousands who come at once.
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What one thread serves.
struct House<'s> {
    clear: &'s TcpListener,
    tls: &'s TcpListener,
    config: &'s Arc<ServerConfig>,
    maildrops: &'s HashMap<String, Maildrop>,
}

impl<'s> House<'s> {
    fn serve(&self) -> Result<()> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // One thread is woken, not all.
        watch(&epoll, self.clear, CLEAR, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        watch(&epoll, self.tls, TLS, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        let mut connections: HashMap<u64, Connection<'s>> = HashMap::new();
        let mut last = TLS;
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let token = event.data.u64();
                if token > TLS {
                    let stays =
                        connections.get_mut(&token).map(|connection| connection.go_on(self.maildrops));
                    if !matches!(stays, Some(Ok(true))) {
                        connections.remove(&token);
                    }
                    continue;
                }
                let listener = if token == TLS { self.tls } else { self.clear };
                // Another thread may have been quicker.
                let Ok((stream, _)) = listener.accept() else { continue };
                let config = (token == TLS).then_some(self.config);
                last += 1;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                // Edges: what a connection waits for needs not be said each time.
                watch(&epoll, &stream, last, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
                connections.insert(last, Connection::new(stream, config)?);
            }
        }
    }
}

fn watch(epoll: &OwnedFd, source: impl AsFd, token: u64, events: EventFlags) -> Result<()> {
    Ok(epoll::add(epoll, source, EventData::new_u64(token), events)?)
}
