//! The server's side of TLS: versions 1.2 and 1.3 (ledger 140).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ::aws_lc_rs::rand;
use programs::environment;
use programs::service::front::tls::{Made, Opening, Server, Session};
use programs::service::material::Material;
use programs::service::ticket_keys::TicketKeys;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig, ServerConnection};

use crate::choice::{Choice, Choices};
use crate::clients::Clients;
use crate::session::Rustls;
use crate::subject::Field;
use crate::tickets::Ticketer;
use crate::versions::Versions;

/// What all sessions have in common.
struct Certified {
    usual: Place,
    by_address: HashMap<IpAddr, Place>,
    field: Option<Field>,
}

/// What those have in common that come in at one address.
struct Place {
    implicit: Arc<ServerConfig>,
    /// For those who have said STLS.
    by_stls: Arc<ServerConfig>,
    choice: Arc<Choice>,
    ticketer: Arc<Ticketer>,
}

/// Makes a server of `material`.
///
/// # Errors
/// What is wrong with it.
pub fn make_server(material: &Material) -> Result<Made, String> {
    let choices = Choices::of(&material.certificate, &material.others)?;
    let clients = Clients::signed_by(material.authorities.as_deref())?;
    let (implicit, by_stls) = Versions::from_environment();
    let place = |choice: Arc<Choice>| -> Result<Place, String> {
        let ticketer = Arc::new(Ticketer::new(&choice.identity()));
        let config = |versions| configured(versions, &clients, &choice, &ticketer);
        Ok(Place { implicit: config(&implicit)?, by_stls: config(&by_stls)?, choice, ticketer })
    };
    let usual = place(choices.usual)?;
    let at_address = |(address, choice)| Ok((address, place(choice)?));
    let by_address = choices.by_address.into_iter().map(at_address).collect::<Result<_, String>>()?;
    let remarks =
        choices.remarks.into_iter().chain(clients.remarks).chain(implicit.remark).chain(by_stls.remark);
    let remarks = remarks.collect();
    Ok(Made { server: Box::new(Certified { usual, by_address, field: clients.field }), remarks })
}

/// The same where clients are to be served: what random octets are made of takes
/// tens of milliseconds to begin, for which none of them is to wait.
///
/// # Errors
/// As [`make_server`].
pub fn make_server_for_clients(material: &Material) -> Result<Made, String> {
    rand::fill(&mut [0]).map_err(|_| "there are no random octets")?;
    make_server(material)
}

/// For clients that are shown what is in `choice`.
fn configured(
    versions: &Versions,
    clients: &Clients,
    choice: &Arc<Choice>,
    ticketer: &Arc<Ticketer>,
) -> Result<Arc<ServerConfig>, String> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions.spoken)
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(Arc::clone(&clients.verifier))
        .with_cert_resolver(Arc::<Choice>::clone(choice));
    config.ignore_client_order = versions.own_order;
    config.alpn_protocols = protocols(&environment::octets("TLS_ALPN"));
    // One is enough: who resumes with it gets the next one, and those who come twice
    // at once to one maildrop are few.
    config.send_tls13_tickets = 1;
    // What resumes a session its client keeps, and another front may open.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A client's certificate that was good when a session began may not be any more.
    match clients.are_asked {
        true => config.send_tls13_tickets = 0,
        false => config.ticketer = Arc::<Ticketer>::clone(ticketer),
    }
    Ok(Arc::new(config))
}

/// Of which a client must offer one, if it offers any (RFC 7301 section 3.2): the
/// words of `list`, TLS_ALPN. Without any it is `pop3`, as registered.
fn protocols(list: &[u8]) -> Vec<Vec<u8>> {
    let words = list.split(|octet| *octet == b',' || octet.is_ascii_whitespace());
    let named: Vec<_> = words.filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect();
    if named.is_empty() { vec![b"pop3".to_vec()] } else { named }
}

/// A certificate chain and its private key, both in PEM.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate: there is none in the file".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the private key: {error}"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => "the private key is another certificate's".to_owned(),
        error => format!("the certificate and its key: {error}"),
    })
}

impl Server for Certified {
    fn session(&self, local: Option<IpAddr>, opening: Opening) -> Result<Box<dyn Session>, String> {
        let own = local.and_then(|local| self.by_address.get(&local.to_canonical()));
        let Place { implicit, by_stls, choice, .. } = own.unwrap_or(&self.usual);
        let config = match opening {
            Opening::Implicit => implicit,
            Opening::Stls => by_stls,
        };
        let session = ServerConnection::new(Arc::clone(config)).map_err(|error| error.to_string())?;
        let choice = Some(Arc::clone(choice));
        Ok(Box::new(Rustls { connection: session.into(), choice, field: self.field }))
    }

    fn know_ticket_keys(&self, keys: &TicketKeys) {
        for place in std::iter::once(&self.usual).chain(self.by_address.values()) {
            place.ticketer.know(keys);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{certified, protocols};

    #[test]
    fn protocols_are_words_between_commas_and_blanks() {
        assert_eq!(protocols(b"pop3, acme-tls/1 x"), [b"pop3".as_slice(), b"acme-tls/1", b"x"]);
        assert_eq!(protocols(b" ,"), [b"pop3"]);
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_said_to_be_none() {
        let wrong = |certificate: &[u8], key: &[u8]| certified(certificate, key).err().unwrap();
        assert_eq!(wrong(b"", b""), "the certificate: there is none in the file");
        const BEGINNING: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIIB";
        assert!(wrong(BEGINNING, b"").starts_with("the certificate: "));
        const OTHER: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert!(wrong(OTHER, b"").starts_with("the private key: "));
        const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
        assert!(wrong(OTHER, KEY).starts_with("the certificate and its key: "));
    }
}
