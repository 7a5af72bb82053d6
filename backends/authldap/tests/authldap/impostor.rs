//! Servers that are none: what they say was written beforehand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

/// A listener that says something to everybody, and hears.
pub(crate) struct Impostor {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// What becomes of a connection to it.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Silence,
    Goodbye,
}

impl Impostor {
    /// One that answers each thing it hears with the next of `answers`, and
    /// `then` keeps the connection or closes it.
    pub(crate) fn saying(answers: &[&[u8]], then: Then) -> Impostor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let impostor = Impostor { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
        let heard = Arc::clone(&impostor.heard);
        // It ends with the tests.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, answers, heard) = (stream.unwrap(), answers.clone(), Arc::clone(&heard));
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    let mut answers = answers.iter();
                    while let Ok(octets @ 1..) = stream.read(&mut buffer) {
                        heard.lock().unwrap().extend_from_slice(&buffer[..octets]);
                        match (answers.next(), then) {
                            (Some(answer), _) => drop(stream.write_all(answer)),
                            (None, Then::Silence) => {}
                            (None, Then::Goodbye) => return,
                        }
                    }
                });
            }
        });
        impostor
    }

    pub(crate) fn uri(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Everything that it was told.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}
