//! What TLS with back-ends is made of, as the monitor gives it to proxy
//! processes.

use std::io;
use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use crate::service::fields::{Malformed, Reader, Writer};
use crate::service::material::Pem;
use crate::service::sealed::{seal, unseal};

/// Whom we trust, and by what back-ends may know us, all in PEM.
pub(in crate::service) struct BackendTls {
    /// Who signs the certificates of back-ends.
    pub(in crate::service) authorities: Zeroizing<Vec<u8>>,
    /// Our own certificate, if there is one.
    pub(in crate::service) identity: Option<Pem>,
}

const ANONYMOUS: u8 = b'A';
const IDENTIFIED: u8 = b'I';

impl BackendTls {
    /// A descriptor of all this, which nobody can change any more.
    ///
    /// # Errors
    /// What the system reports; it is too much.
    pub(in crate::service) fn seal(&self) -> io::Result<OwnedFd> {
        let fields = match &self.identity {
            None => Writer::new(ANONYMOUS).octets(&self.authorities),
            Some(Pem { chain, key }) => {
                Writer::new(IDENTIFIED).octets(&self.authorities).octets(chain).octets(key)
            }
        };
        seal(&fields.message())
    }

    /// What was sealed.
    ///
    /// # Errors
    /// What the system reports; it is something else.
    pub(super) fn unseal(memory: OwnedFd) -> io::Result<BackendTls> {
        BackendTls::decode(&unseal(memory)?).map_err(io::Error::other)
    }

    fn decode(octets: &[u8]) -> Result<BackendTls, Malformed> {
        let (kind, mut fields) = Reader::new(octets)?;
        let mut octets = || fields.octets().map(|octets| Zeroizing::new(octets.to_vec()));
        let authorities = octets()?;
        let identity = match kind {
            ANONYMOUS => None,
            IDENTIFIED => Some(Pem { chain: octets()?, key: octets()? }),
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok(BackendTls { authorities, identity })
    }
}

#[cfg(test)]
mod tests {
    use super::BackendTls;
    use crate::service::material::Pem;
    use zeroize::Zeroizing;

    #[test]
    fn what_is_sealed_is_read_with_and_without_a_certificate_of_our_own() {
        let octets = |text: &[u8]| Zeroizing::new(text.to_vec());
        for with_identity in [false, true] {
            let identity = || Pem { chain: octets(b"chain"), key: octets(b"key") };
            let identity = with_identity.then(identity);
            let sealed = BackendTls { authorities: octets(b"authorities"), identity }.seal().unwrap();
            let BackendTls { authorities, identity } = BackendTls::unseal(sealed).unwrap();
            assert_eq!(*authorities, b"authorities");
            let identity = identity.map(|Pem { chain, key }| (chain.to_vec(), key.to_vec()));
            assert_eq!(identity, with_identity.then(|| (b"chain".to_vec(), b"key".to_vec())));
        }
        assert!(BackendTls::decode(b"Mx").is_err());
    }
}
