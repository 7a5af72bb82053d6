//! SCRAM with `-PLUS` over real TLS: rustls at both ends, the binding data
//! from each end's own exporter (RFC 9266).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use authlib::sasl::channel::{EXPORTER_LABEL, EXPORTER_LENGTH};
use authlib::sasl::{Binding, BindingKind, Channel, Exchange, Mechanism, Step};
use authlib::scram_keys::{Hash, Keys};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
};
use sha2::{Digest, Sha256};
use testbed::certificates::Certificates;
use testbed::scram::Answer;

const KINDS: [(BindingKind, &str); 2] =
    [(BindingKind::TlsExporter, "tls-exporter"), (BindingKind::TlsServerEndPoint, "tls-server-end-point")];

/// What both ends know of one connection, of each type of binding.
struct Connection {
    clients: [Vec<u8>; 2],
    servers: [Vec<u8>; 2],
}

/// A server with a certificate, and who trusts it.
struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl Ends {
    /// `None`, with a line that says why, without openssl(1).
    fn new() -> Option<Ends> {
        let directory = tempfile::tempdir().unwrap();
        let made = Certificates::make(directory.path(), IpAddr::V4(Ipv4Addr::LOCALHOST), "client");
        let Ok(certificates) = made else {
            testbed::courier::leave_out("channel binding, since there is no openssl").unwrap();
            return None;
        };
        let (certificate, key) = certificates.server();
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificates.authority()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::from_pem_file(key).unwrap())
            .unwrap();
        Some(Ends { client: Arc::new(client), server: Arc::new(server), certificate })
    }

    /// Shakes hands.
    fn connect(&self) -> Connection {
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        for _ in 0..10 {
            let mut octets = Vec::new();
            client.write_tls(&mut octets).unwrap();
            server.read_tls(&mut octets.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut octets = Vec::new();
            server.write_tls(&mut octets).unwrap();
            client.read_tls(&mut octets.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let seen = &client.peer_certificates().unwrap()[0];
        let (mut clients, mut servers) = ([0; EXPORTER_LENGTH], [0; EXPORTER_LENGTH]);
        client.export_keying_material(&mut clients, EXPORTER_LABEL, None).unwrap();
        server.export_keying_material(&mut servers, EXPORTER_LABEL, None).unwrap();
        // It is signed with SHA-256, so that is the hash (RFC 5929 section 4.1).
        let end_point = |certificate: &CertificateDer| Sha256::digest(certificate).to_vec();
        Connection {
            clients: [clients.to_vec(), end_point(seen)],
            servers: [servers.to_vec(), end_point(&self.certificate)],
        }
    }
}

/// The channel as the server knows it.
fn channel(connection: &Connection) -> Channel {
    let binding = |((kind, _), data): (_, &Vec<u8>)| Binding { kind, data: data.clone() };
    let bindings = KINDS.into_iter().zip(&connection.servers).map(binding).collect();
    Channel { bindings, offers_binding: true, ..Channel::default() }
}

/// Whether the client gets in, and knows that the server has its keys.
fn logs_in(mechanism: Mechanism, client: &Answer, channel: &Channel) -> bool {
    let (Mechanism::Scram(hash) | Mechanism::ScramPlus(hash)) = mechanism else { panic!() };
    let keys = Keys::derive(hash, b"secret", b"a salt of somebody", 4096).unwrap().stored();
    let mut exchange = Exchange::new(mechanism, b"host").unwrap().over(channel.clone());
    let mut step = exchange.start(None);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                let line = format!("+ {}\r\n", STANDARD.encode(challenge)).into_bytes();
                let answer = client.to(&line).unwrap();
                lines.push(line);
                exchange.respond(&STANDARD.decode(answer.strip_suffix(b"\r\n").unwrap()).unwrap())
            }
            Step::Salt(wanted) => exchange.salt(&wanted.of(Some(keys.as_bytes()), None).unwrap()),
            Step::Scram(proof) => match proof.verify(Some(keys.as_bytes()), None) {
                Some(signature) => exchange.signed(&signature),
                None => return false,
            },
            Step::Accepted => return client.is_signed(&lines[1], &lines[2]).unwrap(),
            _ => return false,
        };
    }
}

fn client(hash: Hash) -> Answer {
    Answer::parse(match hash {
        Hash::Sha1 => "scram-sha-1 alice secret",
        Hash::Sha256 => "scram-sha-256 alice secret",
    })
    .unwrap()
}

#[test]
fn both_ends_of_one_connection_meet() {
    let Some(ends) = Ends::new() else { return };
    for hash in Hash::ALL {
        for (at, (_, name)) in KINDS.into_iter().enumerate() {
            let connection = ends.connect();
            let bound = client(hash).bound(name, &connection.clients[at]);
            assert!(logs_in(Mechanism::ScramPlus(hash), &bound, &channel(&connection)), "{hash:?} {name}");
            let wrong = Answer::parse("scram-sha-256 alice wrong").unwrap();
            let wrong = wrong.bound(name, &connection.clients[at]);
            assert!(!logs_in(Mechanism::ScramPlus(Hash::Sha256), &wrong, &channel(&connection)));
        }
    }
}

/// Somebody in the middle has a connection with each of them, and passes on
/// what they say. He even has the server's certificate and key.
#[test]
fn who_stands_between_two_connections_gets_nobody_in() {
    let Some(ends) = Ends::new() else { return };
    let (with_client, with_server) = (ends.connect(), ends.connect());
    for hash in Hash::ALL {
        let bound = client(hash).bound("tls-exporter", &with_client.clients[0]);
        assert!(!logs_in(Mechanism::ScramPlus(hash), &bound, &channel(&with_server)));
        // Nor does it help to take `-PLUS` from the server's list: the client
        // says that it could have.
        let misled = client(hash).bound("tls-exporter", &with_client.clients[0]);
        assert!(!logs_in(Mechanism::Scram(hash), &misled, &channel(&with_server)));
        assert!(!logs_in(
            Mechanism::Scram(hash),
            &client(hash).believing_that_nobody_can_bind(),
            &channel(&with_server)
        ));
        // A client that cannot bind gets in all the same.
        assert!(logs_in(Mechanism::Scram(hash), &client(hash), &channel(&with_server)));
        assert!(!logs_in(Mechanism::ScramPlus(hash), &client(hash), &channel(&with_server)));
    }
}
