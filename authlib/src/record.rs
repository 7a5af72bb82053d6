//! The record that travels over descriptor 3 and to an authdaemond: service,
//! authtype, authdata (reference: authlib 1.3 and 3.2).
//!
//! ```text
//! pop3 LF login LF alice LF secret LF LF
//! └service └authtype └authdata, which ends with LF itself
//!
//! pop3 LF cram-md5 LF challenge LF response LF LF
//!                     └both in base64, as on the wire
//!
//! pop3 LF oauthbearer LF alice LF token LF LF      and xoauth2; in oauthbearer
//!                        └may be empty             (ledger 781)
//! ```
//!
//! The others are ours alone; Courier's modules reject them (ledger 426, 427).
//!
//! ```text
//! pop3 LF external LF alice LF LF                       the channel vouches for alice
//! pop3 LF apop LF timestamp LF alice SP digest LF LF
//! pop3 LF scram-sha-256 LF alice LF LF                  which salt?
//!               or … alice LF iterations:salt LF LF     the same, with one for passwords in clear
//! pop3 LF scram-sha-256 LF alice LF client-first-bare LF server-first LF
//!     client-final-without-proof LF proof LF LF         is this right? All but the name in base64
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::Secret;
use crate::bearer::{Bearer, Scheme};
use crate::cram::{self, Proof};
use crate::password::Remembered;
use crate::printable::has_control;
use crate::{apop, scram};

/// Most octets that a record may have.
pub const LIMIT: usize = 8191;

/// The authtype of a record in which the channel vouches for somebody.
const EXTERNAL: &[u8] = b"external";

/// A record, kept exactly as it was read, so that a module that rejects it
/// hands on the very same octets.
#[derive(Debug)]
pub struct Record {
    octets: Secret,
    service_end: usize,
    authtype_end: usize,
    remembered: Option<Remembered>,
}

/// Why credentials could not become a record. None of these may reach a
/// module: a line end in a user name would shift the fields behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An octet below 0x20, or 0x7f.
    #[error("the {0} holds a control octet")]
    ControlOctet(&'static str),
    /// Nothing at all; no account has an empty name, and an empty password is
    /// what some directories take for "anybody".
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// More than [`LIMIT`] octets.
    #[error("the credentials are longer than {LIMIT} octets")]
    TooLong,
}

/// Why octets are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There are no octets: nobody wrote a record.
    #[error("there is no authentication record")]
    Empty,
    /// More than [`LIMIT`] octets.
    #[error("the authentication record is longer than {LIMIT} octets")]
    TooLong,
    /// Not three fields that end with LF each, or a NUL among them.
    #[error("the authentication record does not have three fields")]
    Fields,
}

/// User and password of a record of authtype `login`.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The user name as the client sent it.
    pub user: &'a [u8],
    /// The password in clear.
    pub password: &'a [u8],
}

/// What a record says of somebody.
pub enum Claim<'a> {
    /// That this is the password.
    Login(Login<'a>),
    /// That whoever made this proof knows the password.
    Proof(Proof),
    /// That whoever made this token says who the client is.
    Token(Bearer),
    /// The same, by SCRAM.
    Scram(scram::Proof),
    /// The same, by APOP.
    Apop(apop::Proof),
}

impl Claim<'_> {
    /// Whom it is about; empty where a token alone says so.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        match self {
            Claim::Login(login) => login.user,
            Claim::Proof(proof) => proof.user(),
            Claim::Token(bearer) => bearer.user(),
            Claim::Scram(proof) => proof.user(),
            Claim::Apop(proof) => proof.user(),
        }
    }

    /// The password in clear, if it was said.
    #[must_use]
    pub fn password(&self) -> Option<&[u8]> {
        match self {
            Claim::Login(login) => Some(login.password),
            Claim::Proof(_) | Claim::Scram(_) | Claim::Apop(_) | Claim::Token(_) => None,
        }
    }
}

impl Record {
    /// The record of somebody who gives a name and a password.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn login(service: &[u8], user: &[u8], password: &[u8]) -> Result<Self, Refused> {
        usable("service", service)?;
        usable("user name", user)?;
        usable("password", password)?;
        Record::assemble(&[service, b"login", user, password])
    }

    /// The record of somebody who has proved to know a password.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn proof(service: &[u8], proof: &Proof) -> Result<Self, Refused> {
        usable("service", service)?;
        usable("user name", proof.user())?;
        let challenge = STANDARD.encode(proof.challenge());
        let response = Zeroizing::new(STANDARD.encode(proof.response().expose()));
        let authtype = cram::authtype(proof.hash());
        Record::assemble(&[service, authtype.as_bytes(), challenge.as_bytes(), response.as_bytes()])
    }

    /// The record of somebody who has shown a token.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn token(service: &[u8], bearer: &Bearer) -> Result<Self, Refused> {
        usable("service", service)?;
        let scheme = bearer.scheme();
        // Without a name nothing is wrong with it (ledger 781).
        if scheme == Scheme::Xoauth2 || !bearer.user().is_empty() {
            usable("user name", bearer.user())?;
        }
        Record::assemble(&[service, scheme.authtype().as_bytes(), bearer.user(), bearer.token().expose()])
    }

    /// The record of somebody for whom the channel vouches (EXTERNAL).
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn external(service: &[u8], user: &[u8]) -> Result<Self, Refused> {
        usable("service", service)?;
        usable("user name", user)?;
        Record::assemble(&[service, EXTERNAL, user])
    }

    /// The record of somebody who has proved to know a password, with APOP.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn apop(service: &[u8], proof: &apop::Proof) -> Result<Self, Refused> {
        usable("service", service)?;
        let response = proof.response();
        Record::assemble(&[service, apop::AUTHTYPE.as_bytes(), proof.timestamp(), response.expose()])
    }

    /// The record that asks for a salt: the first question of SCRAM.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn salt(service: &[u8], wanted: &scram::Wanted) -> Result<Self, Refused> {
        usable("service", service)?;
        usable("user name", &wanted.user)?;
        let authtype = scram::authtype(wanted.hash).as_bytes();
        match wanted.for_clear.as_ref().map(scram::Salt::encode) {
            Some(salt) => Record::assemble(&[service, authtype, &wanted.user, salt.as_bytes()]),
            None => Record::assemble(&[service, authtype, &wanted.user]),
        }
    }

    /// The record of the second question of SCRAM.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn scram(service: &[u8], proof: &scram::Proof) -> Result<Self, Refused> {
        usable("service", service)?;
        usable("user name", proof.user())?;
        let authtype = scram::authtype(proof.hash()).as_bytes();
        let [first, server, last] = proof.messages().each_ref().map(|message| STANDARD.encode(message));
        let shown = Zeroizing::new(STANDARD.encode(proof.proof().expose()));
        let messages = [first.as_bytes(), server.as_bytes(), last.as_bytes(), shown.as_bytes()];
        Record::assemble(&[&[service, authtype, proof.user()], &messages[..]].concat())
    }

    /// One line for each field and the LF that ends authdata.
    fn assemble(fields: &[&[u8]]) -> Result<Self, Refused> {
        let length = fields.iter().map(|field| field.len() + 1).sum::<usize>() + 1;
        if length > LIMIT {
            return Err(Refused::TooLong);
        }
        // Reserved at once: a vector that grows leaves copies behind.
        let mut octets = Vec::with_capacity(length);
        for field in fields {
            octets.extend_from_slice(field);
            octets.push(b'\n');
        }
        octets.push(b'\n');
        let service_end = fields[0].len();
        Ok(Record {
            octets: Secret::new(octets),
            service_end,
            authtype_end: service_end + 1 + fields[1].len(),
            remembered: None,
        })
    }

    /// The record that `octets` are.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn decode(octets: &[u8]) -> Result<Self, Malformed> {
        if octets.is_empty() {
            return Err(Malformed::Empty);
        }
        if octets.len() > LIMIT {
            return Err(Malformed::TooLong);
        }
        let mut line_ends = octets.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at);
        let (Some(service_end), Some(authtype_end), Some(_)) =
            (line_ends.next(), line_ends.next(), line_ends.next())
        else {
            return Err(Malformed::Fields);
        };
        if octets.contains(&0) || octets.last() != Some(&b'\n') {
            return Err(Malformed::Fields);
        }
        Ok(Record { octets: Secret::copy_of(octets), service_end, authtype_end, remembered: None })
    }

    /// The same record, with what is [remembered](crate::password::answers) of the
    /// last login with it instead of what was.
    #[must_use]
    pub fn with_remembered(self, remembered: Option<Remembered>) -> Self {
        Record { remembered, ..self }
    }

    /// What is remembered of the last login with it.
    #[must_use]
    pub fn remembered(&self) -> Option<&Remembered> {
        self.remembered.as_ref()
    }

    /// Whether it was compared with the password `stored` lately, and was right.
    /// Then a module that has read `stored` just now need not do that again.
    #[must_use]
    pub fn is_remembered(&self, stored: &[u8]) -> bool {
        self.remembered.as_ref().is_some_and(|remembered| remembered.is_of(self, stored))
    }

    /// Whether a control octet is in it that ends no field. Others' login programs
    /// let such through; it is nobody's password, and no module sees it (ledger
    /// 472).
    #[must_use]
    pub fn has_control(&self) -> bool {
        self.octets.expose().split(|&octet| octet == b'\n').any(has_control)
    }

    /// The octets to pass on, exactly as they were read or made.
    #[must_use]
    pub fn encode(&self) -> &Secret {
        &self.octets
    }

    /// The name of the service, such as `pop3`.
    #[must_use]
    pub fn service(&self) -> &[u8] {
        &self.octets.expose()[..self.service_end]
    }

    /// How the client showed who it is, such as `login`.
    #[must_use]
    pub fn authtype(&self) -> &[u8] {
        &self.octets.expose()[self.service_end + 1..self.authtype_end]
    }

    /// What it showed. Ends with LF; holds secrets.
    #[must_use]
    pub fn authdata(&self) -> &[u8] {
        &self.body()[self.authtype_end + 1..]
    }

    /// The record with the LF of authdata as its only final one, as an
    /// authdaemond wants it (reference: authlib 3.2). Holds secrets.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let octets = self.octets.expose();
        octets.strip_suffix(b"\n").filter(|shorter| shorter.ends_with(b"\n")).unwrap_or(octets)
    }

    /// What it says, if the authtype is one that we know and authdata have its
    /// form.
    #[must_use]
    pub fn claim(&self) -> Option<Claim<'_>> {
        let authtype = self.authtype();
        if let Some(scheme) = Scheme::of(authtype) {
            let [user, token] = self.lines()?;
            return Bearer::new(scheme, user, token).map(Claim::Token);
        }
        if authtype == apop::AUTHTYPE.as_bytes() {
            let [timestamp, response] = self.lines()?;
            return apop::Proof::of_response(timestamp, response).map(Claim::Apop);
        }
        if let Some(hash) = cram::hash_of(authtype) {
            let [challenge, response] = self.lines()?;
            let response = Zeroizing::new(STANDARD.decode(response).ok()?);
            return Proof::new(hash, &STANDARD.decode(challenge).ok()?, &response).map(Claim::Proof);
        }
        if let Some(hash) = scram::hash_of(authtype) {
            let [user, first, server, last, proof] = self.lines()?;
            let octets = |text: &[u8]| STANDARD.decode(text).ok();
            let messages = [octets(first)?, octets(server)?, octets(last)?];
            return scram::Proof::new(hash, user, messages, &octets(proof)?).map(Claim::Scram);
        }
        self.credentials().map(Claim::Login)
    }

    /// User and password, if the authtype is `login` and authdata are two
    /// lines.
    #[must_use]
    pub fn credentials(&self) -> Option<Login<'_>> {
        if self.authtype() != b"login" {
            return None;
        }
        let [user, password] = self.lines()?;
        Some(Login { user, password })
    }

    /// For whom the channel vouches, if the authtype is `external`: whoever
    /// reads this from descriptor 3 of a chain looks the account up. Nobody
    /// else may act on it.
    #[must_use]
    pub fn vouched(&self) -> Option<&[u8]> {
        let [user] = self.lines().filter(|_| self.authtype() == EXTERNAL)?;
        (!user.is_empty()).then_some(user)
    }

    /// Whose salt is asked for, if this is the first question of SCRAM.
    #[must_use]
    pub fn wanted_salt(&self) -> Option<scram::Wanted> {
        let hash = scram::hash_of(self.authtype())?;
        let (user, for_clear) = match self.lines() {
            Some([user, salt]) => (user, Some(scram::Salt::decode(salt)?)),
            None => (self.lines::<1>()?[0], None),
        };
        (!user.is_empty()).then(|| scram::Wanted { hash, user: user.to_vec(), for_clear })
    }

    /// Authdata, if they are `N` lines.
    fn lines<const N: usize>(&self) -> Option<[&[u8]; N]> {
        let mut lines = self.authdata().strip_suffix(b"\n")?.split(|&octet| octet == b'\n');
        let mut found = [b"".as_slice(); N];
        for place in &mut found {
            *place = lines.next()?;
        }
        lines.next().is_none().then_some(found)
    }
}

/// Whether a module may see `field`, which is called `name`.
fn usable(name: &'static str, field: &[u8]) -> Result<(), Refused> {
    if has_control(field) {
        Err(Refused::ControlOctet(name))
    } else if field.is_empty() {
        Err(Refused::Empty(name))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
