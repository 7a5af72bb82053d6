//! Keys, and what is signed with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Outcome;

/// What a key is like, and what it signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA with 2048 bits: RS256.
    Rs256,
    /// The same: PS256.
    Ps256,
    /// P-256: ES256.
    Es256,
    /// Ed25519: EdDSA.
    EdDsa,
}

/// A private key, and the name of the public one.
#[derive(Debug)]
pub struct Key {
    name: String,
    kind: Kind,
    file: PathBuf,
}

impl Key {
    /// Makes one, called `name`, in `directory`.
    ///
    /// # Errors
    /// openssl(1) is not there, or fails.
    pub fn make(directory: &Path, name: &str, kind: Kind) -> Outcome<Key> {
        let file = directory.join(format!("{name}.key"));
        let words: &[&str] = match kind {
            Kind::Rs256 | Kind::Ps256 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::Es256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Kind::EdDsa => &["-algorithm", "ED25519"],
        };
        openssl(Command::new("openssl").arg("genpkey").args(words).arg("-out").arg(&file))?;
        Ok(Key { name: name.to_owned(), kind, file })
    }

    /// A token with these `claims`, with the usual header.
    ///
    /// # Errors
    /// openssl(1) fails.
    pub fn token(&self, claims: &str) -> Outcome<String> {
        let header = format!(r#"{{"alg":"{}","kid":"{}","typ":"JWT"}}"#, self.algorithm(), self.name);
        self.token_with(header.as_bytes(), claims.as_bytes())
    }

    /// A token with this `header`, which may lie.
    ///
    /// # Errors
    /// openssl(1) fails.
    pub fn token_with(&self, header: &[u8], claims: &[u8]) -> Outcome<String> {
        let unsigned = super::token(header, claims, b"");
        let signature = self.sign(unsigned.trim_end_matches('.').as_bytes())?;
        Ok(super::token(header, claims, &signature))
    }

    /// The public key in JSON (RFC 7518 section 6, RFC 8037 section 2).
    ///
    /// # Errors
    /// openssl(1) fails.
    pub fn jwk(&self) -> Outcome<String> {
        let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        let parameters = match self.kind {
            Kind::Rs256 | Kind::Ps256 => {
                let text = openssl(self.command("rsa").args(["-noout", "-modulus"]))?;
                let digits = String::from_utf8(text)?.trim().replace("Modulus=", "");
                format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, encode(&octets(&digits)?))
            }
            Kind::Es256 => {
                let point = self.public_der()?;
                let point = point.last_chunk::<64>().ok_or("no point")?;
                let (x, y) = point.split_at(32);
                format!(r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#, encode(x), encode(y))
            }
            Kind::EdDsa => {
                let der = self.public_der()?;
                let x = der.last_chunk::<32>().ok_or("no key")?;
                format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, encode(x))
            }
        };
        let (name, algorithm) = (&self.name, self.algorithm());
        Ok(format!(r#"{{{parameters},"kid":"{name}","alg":"{algorithm}","use":"sig"}}"#))
    }

    /// The public key as PEM.
    ///
    /// # Errors
    /// openssl(1) fails.
    pub fn public_pem(&self) -> Outcome<Vec<u8>> {
        openssl(self.command("pkey").arg("-pubout"))
    }

    fn public_der(&self) -> Outcome<Vec<u8>> {
        openssl(self.command("pkey").args(["-pubout", "-outform", "DER"]))
    }

    /// The name of the algorithm (RFC 7518 section 3.1).
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Rs256 => "RS256",
            Kind::Ps256 => "PS256",
            Kind::Es256 => "ES256",
            Kind::EdDsa => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Outcome<Vec<u8>> {
        let input = tempfile::NamedTempFile::new()?;
        fs::write(input.path(), message)?;
        let mut command = Command::new("openssl");
        match self.kind {
            Kind::Rs256 | Kind::Es256 => command.args(["dgst", "-sha256"]),
            Kind::Ps256 => command.args([
                "dgst",
                "-sha256",
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:32",
            ]),
            Kind::EdDsa => command.args(["pkeyutl", "-sign", "-rawin"]),
        };
        match self.kind {
            Kind::EdDsa => command.arg("-inkey").arg(&self.file).arg("-in").arg(input.path()),
            _ => command.arg("-sign").arg(&self.file).arg(input.path()),
        };
        let signature = openssl(&mut command)?;
        if self.kind == Kind::Es256 { both_numbers(&signature) } else { Ok(signature) }
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new("openssl");
        command.arg(what).arg("-in").arg(&self.file);
        command
    }
}

fn openssl(command: &mut Command) -> Outcome<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("openssl: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Hexadecimal digits as octets.
fn octets(digits: &str) -> Outcome<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// The two numbers of a signature in DER, 32 octets each (RFC 7518 section
/// 3.4).
fn both_numbers(der: &[u8]) -> Outcome<Vec<u8>> {
    let [0x30, _, 0x02, length, rest @ ..] = der else { return Err("no signature of ECDSA".into()) };
    let (first, rest) = rest.split_at_checked(usize::from(*length)).ok_or("half a signature")?;
    let [0x02, _, second @ ..] = rest else { return Err("half a signature".into()) };
    let number = |octets: &[u8]| {
        let digits = &octets[octets.iter().take_while(|&&octet| octet == 0).count()..];
        [vec![0; 32_usize.saturating_sub(digits.len())], digits.to_vec()].concat()
    };
    Ok([number(first), number(second)].concat())
}
