//! What TLS is made of, on its way from the monitor, which reads the files and
//! looks at nothing in them, to those who may not open them: all of it in one
//! sealed piece of memory.

use std::io;
use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};
use super::sealed::{seal, unseal};

/// Most octets of one file.
pub(super) const MOST_OF_A_FILE: u64 = 1024 * 1024;

/// What TLS is made of.
pub struct Material {
    /// The certificate, and how it is proven.
    pub certificate: Pem,
    /// Those that are shown to clients which ask for a name or come in at an
    /// address.
    pub others: Vec<Named>,
    /// The certificates, in PEM, of those who may sign clients' certificates, if
    /// clients are asked for them.
    pub authorities: Option<Vec<u8>>,
}

/// A certificate and for whom it is meant.
pub struct Named {
    /// A host name in lower case, or an address.
    pub name: String,
    /// The certificate.
    pub pem: Pem,
}

/// A certificate chain and its private key, both in PEM, as their files have
/// them. They may be the same file.
pub struct Pem {
    /// The chain.
    pub chain: Zeroizing<Vec<u8>>,
    /// The key.
    pub key: Zeroizing<Vec<u8>>,
}

const MATERIAL: u8 = b'M';

impl Material {
    /// A descriptor of all this, which nobody can change any more.
    ///
    /// # Errors
    /// What the system reports; it is too much.
    pub(super) fn seal(&self) -> io::Result<OwnedFd> {
        let mut fields = self.certificate.write(Writer::new(MATERIAL)).optional(self.authorities.as_deref());
        fields = fields.number(self.others.len() as u64);
        for Named { name, pem } in &self.others {
            fields = pem.write(fields.octets(name.as_bytes()));
        }
        seal(&fields.message())
    }

    /// What was sealed.
    ///
    /// # Errors
    /// What the system reports; it is something else.
    pub(super) fn unseal(memory: OwnedFd) -> io::Result<Material> {
        Material::decode(&unseal(memory)?).map_err(io::Error::other)
    }

    fn decode(octets: &[u8]) -> Result<Material, Malformed> {
        let (MATERIAL, mut fields) = Reader::new(octets)? else { return Err(Malformed) };
        let certificate = Pem::read(&mut fields)?;
        let authorities = fields.optional()?.map(<[u8]>::to_vec);
        let mut others = Vec::new();
        for _ in 0..fields.number()? {
            others.push(Named { name: fields.text()?, pem: Pem::read(&mut fields)? });
        }
        fields.end()?;
        Ok(Material { certificate, others, authorities })
    }
}

impl Pem {
    fn write(&self, fields: Writer) -> Writer {
        fields.octets(&self.chain).octets(&self.key)
    }

    fn read(fields: &mut Reader<'_>) -> Result<Pem, Malformed> {
        let mut octets = || fields.octets().map(|octets| Zeroizing::new(octets.to_vec()));
        Ok(Pem { chain: octets()?, key: octets()? })
    }
}

#[cfg(test)]
mod tests {
    use super::{Material, Named, Pem};
    use std::io::Write;
    use zeroize::Zeroizing;

    fn material() -> Material {
        let octets = |text: &[u8]| Zeroizing::new(text.to_vec());
        let pem = || Pem { chain: octets(b"chain"), key: octets(b"key") };
        let others = vec![Named { name: "mail.example".to_owned(), pem: pem() }];
        Material { certificate: pem(), others, authorities: Some(b"authorities".to_vec()) }
    }

    #[test]
    fn what_is_sealed_is_read_as_often_as_it_is_wanted_and_changed_by_nobody() {
        let memory = material().seal().unwrap();
        for _ in 0..2 {
            let again = Material::unseal(memory.try_clone().unwrap()).unwrap();
            assert_eq!(*again.certificate.chain, b"chain");
            assert_eq!(*again.certificate.key, b"key");
            assert_eq!(again.authorities.unwrap(), b"authorities");
            assert_eq!(
                (again.others[0].name.as_str(), &**again.others[0].pem.key),
                ("mail.example", b"key".as_slice())
            );
        }
        assert!(std::fs::File::from(memory).write_all(b"x").is_err());
    }

    #[test]
    fn what_is_no_material_is_none() {
        assert!(Material::unseal(std::fs::File::open("/dev/null").unwrap().into()).is_err());
        assert!(Material::decode(b"Mx").is_err());
    }
}
