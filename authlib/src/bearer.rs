//! Bearer tokens (RFC 6750): who shows one is let in, so it is as secret as a
//! password.
//!
//! A [`Bearer`] is a token, and the name of whoever the client says that it is
//! about. Nothing here reads the token; a module asks those who made it.

use crate::Secret;
use crate::printable::has_control;

/// The mechanism that a token came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// OAUTHBEARER (RFC 7628).
    Oauthbearer,
    /// XOAUTH2, which Google has defined and many clients know.
    Xoauth2,
}

impl Scheme {
    /// Both.
    pub const ALL: [Scheme; 2] = [Scheme::Oauthbearer, Scheme::Xoauth2];

    /// The authtype of a record that holds such a token.
    #[must_use]
    pub fn authtype(self) -> &'static str {
        match self {
            Scheme::Oauthbearer => "oauthbearer",
            Scheme::Xoauth2 => "xoauth2",
        }
    }

    /// The one with this authtype, if it is one of them.
    #[must_use]
    pub fn of(authtype: &[u8]) -> Option<Self> {
        Scheme::ALL.into_iter().find(|scheme| scheme.authtype().as_bytes() == authtype)
    }
}

/// A token, and whom the client says that it is about.
#[derive(Debug)]
pub struct Bearer {
    scheme: Scheme,
    user: Vec<u8>,
    token: Secret,
}

impl Bearer {
    /// `user` may be empty in OAUTHBEARER alone, where the token says whose it
    /// is (ledger 781).
    ///
    /// `None` if nobody can be meant: the name holds control octets, or is
    /// empty in XOAUTH2, or `token` has not the form of a bearer token (RFC 6750
    /// section 2.1).
    #[must_use]
    pub fn new(scheme: Scheme, user: &[u8], token: &[u8]) -> Option<Self> {
        let is_named = !user.is_empty() || scheme == Scheme::Oauthbearer;
        (is_named && !has_control(user) && is_token(token)).then(|| Bearer {
            scheme,
            user: user.to_vec(),
            token: Secret::copy_of(token),
        })
    }

    /// The mechanism that it came with.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whom the client names; empty if it names nobody. Free of control octets
    /// unless [`with_user`](Bearer::with_user) has put some there.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The same, about `user`.
    #[must_use]
    pub fn with_user(self, user: Vec<u8>) -> Self {
        Bearer { user, ..self }
    }

    /// The token: letters, digits and a few signs.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn is_token(text: &[u8]) -> bool {
    let end = text.iter().rposition(|&octet| octet != b'=').map_or(0, |last| last + 1);
    end > 0 && text[..end].iter().all(|octet| octet.is_ascii_alphanumeric() || b"-._~+/".contains(octet))
}

#[cfg(test)]
mod tests {
    use super::{Bearer, Scheme};

    #[test]
    fn a_scheme_is_known_by_its_authtype() {
        assert_eq!(Scheme::of(b"oauthbearer"), Some(Scheme::Oauthbearer));
        assert_eq!(Scheme::of(b"xoauth2"), Some(Scheme::Xoauth2));
        assert_eq!(Scheme::of(b"login"), None);
        assert_eq!(Scheme::of(b"XOAUTH2"), None);
    }

    #[test]
    fn only_oauthbearer_leaves_it_to_the_token_whose_it_is() {
        assert!(Bearer::new(Scheme::Oauthbearer, b"", b"abc").unwrap().user().is_empty());
        assert!(Bearer::new(Scheme::Xoauth2, b"", b"abc").is_none());
    }

    #[test]
    fn a_token_has_the_form_that_rfc_6750_gives_it() {
        let made = |token: &[u8]| Bearer::new(Scheme::Xoauth2, b"alice", token).is_some();
        for token in [b"a".as_slice(), b"eyJ.eyJ.s-_g", b"mF_9.B5f-4.1JqM", b"ab+/~==", b"...."] {
            assert!(made(token), "{token:?}");
        }
        for token in
            [b"".as_slice(), b"=", b"==", b"a=b", b"a b", b"a\nb", b"a\0", b"a\x01", b"\xc3\xa9", b"a,"]
        {
            assert!(!made(token), "{token:?}");
        }
    }

    #[test]
    fn a_name_with_control_octets_is_nobodys() {
        for user in [b"al\nice".as_slice(), b"al\0ice", b"alice\x7f"] {
            assert!(Bearer::new(Scheme::Oauthbearer, user, b"abc").is_none(), "{user:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        let bearer = Bearer::new(Scheme::Xoauth2, b"alice", b"hunter2").unwrap();
        assert!(!format!("{bearer:?}").contains("hunter2"));
    }
}
