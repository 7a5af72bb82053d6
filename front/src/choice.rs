//! Which certificate a client is shown, as Courier chooses by the names of files
//! (reference couriertcpd.md 14): that of the name which it asks for (SNI,
//! RFC 6066 section 3), else that of the address at which it has come in, else
//! the one without a name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use programs::service::material::{Named, Pem};
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::binding::{self, EndPoint};
use crate::server::certified;

/// A certificate that can be shown.
#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    end_point: EndPoint,
}

impl Shown {
    fn of(Pem { chain, key }: &Pem) -> Result<Shown, String> {
        let key = certified(chain, key)?;
        let end_point = key.cert.first().and_then(|first| binding::end_point(first));
        Ok(Shown { key: Arc::new(key), end_point })
    }

    /// Whether a client that asks for `name` takes it.
    fn is_for(&self, name: &str) -> bool {
        let first = self.key.cert.first().and_then(|first| ParsedCertificate::try_from(first).ok());
        let name = ServerName::try_from(name).ok();
        first.zip(name).is_some_and(|(first, name)| verify_server_name(&first, &name).is_ok())
    }
}

/// What those may be shown who come in at one address.
#[derive(Debug)]
pub(crate) struct Choice {
    by_name: Arc<HashMap<String, Arc<Shown>>>,
    usual: Arc<Shown>,
}

impl Choice {
    fn shown(&self, name: Option<&str>) -> &Arc<Shown> {
        name.and_then(|name| self.by_name.get(name)).unwrap_or(&self.usual)
    }

    /// Everything that it may show: where that differs is another server.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let first = |shown: &Shown| shown.key.cert.first().map(|first| first.to_vec()).unwrap_or_default();
        let named = self.by_name.iter().map(|(name, shown)| [name.as_bytes(), &first(shown)].concat());
        let mut all: Vec<_> = named.chain([first(&self.usual)]).collect();
        all.sort_unstable();
        all.concat()
    }

    /// What binds to the certificate that was shown to who asked for `name`.
    pub(crate) fn end_point(&self, name: Option<&str>) -> &EndPoint {
        &self.shown(name).end_point
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // The library has written the name in lower case.
        Some(Arc::clone(&self.shown(hello.server_name()).key))
    }
}

/// Every choice that there is.
pub(crate) struct Choices {
    /// At most addresses.
    pub(crate) usual: Arc<Choice>,
    /// At those that have a certificate of their own.
    pub(crate) by_address: HashMap<IpAddr, Arc<Choice>>,
    /// What an administrator may want to know.
    pub(crate) remarks: Vec<String>,
}

impl Choices {
    /// Of `certificate` and those of `others` that are good.
    ///
    /// # Errors
    /// What is wrong with `certificate`.
    pub(crate) fn of(certificate: &Pem, others: &[Named]) -> Result<Choices, String> {
        let usual = Arc::new(Shown::of(certificate)?);
        let (mut by_name, mut at) = (HashMap::new(), HashMap::new());
        let mut remarks = Vec::new();
        for Named { name, pem } in others {
            let shown = match Shown::of(pem) {
                Ok(shown) => Arc::new(shown),
                Err(wrong) => {
                    remarks.push(format!("TLS: nobody is shown the certificate of {name}: {wrong}"));
                    continue;
                }
            };
            if !shown.is_for(name) {
                remarks.push(format!("TLS: the certificate of {name} is for other names"));
            }
            match name.parse::<IpAddr>() {
                Ok(address) => drop(at.insert(address.to_canonical(), shown)),
                Err(_) => drop(by_name.insert(name.clone(), shown)),
            }
        }
        let by_name = Arc::new(by_name);
        let choice = |usual| Arc::new(Choice { by_name: Arc::clone(&by_name), usual });
        let by_address = at.into_iter().map(|(address, shown)| (address, choice(shown))).collect();
        Ok(Choices { usual: choice(usual), by_address, remarks })
    }
}

#[cfg(test)]
mod tests {
    use super::Choices;
    use programs::service::material::{Named, Pem};
    use zeroize::Zeroizing;

    fn pem(name: &str) -> Pem {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let octets = |text: String| Zeroizing::new(text.into_bytes());
        Pem { chain: octets(made.cert.pem()), key: octets(made.signing_key.serialize_pem()) }
    }

    fn named(name: &str, pem: Pem) -> Named {
        Named { name: name.to_owned(), pem }
    }

    #[test]
    fn the_name_counts_more_than_the_address_and_that_more_than_nothing() {
        let empty = Pem { chain: Zeroizing::default(), key: Zeroizing::default() };
        let others = [
            named("a.example", pem("a.example")),
            named("192.0.2.1", pem("192.0.2.1")),
            named("b.example", pem("c.example")),
            named("bak", empty),
        ];
        let choices = Choices::of(&pem("localhost"), &others).unwrap();
        let there = &choices.by_address[&"192.0.2.1".parse().unwrap()];
        let shown = |name| choices.usual.end_point(name);
        assert_eq!(there.end_point(Some("a.example")), shown(Some("a.example")));
        assert_ne!(shown(Some("a.example")), shown(None));
        assert_ne!(there.end_point(None), shown(None));
        assert_eq!(shown(Some("bak")), shown(None));
        assert_eq!(
            choices.remarks,
            [
                "TLS: the certificate of b.example is for other names",
                "TLS: nobody is shown the certificate of bak: the certificate: there is none in the file",
            ]
        );
    }
}
