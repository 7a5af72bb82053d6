//! What the two parts of authpam say to each other: fields with a NUL behind
//! each.

use std::ffi::CStr;

use authlib::helper::{join, split};
use system::pam::Login;
use zeroize::Zeroizing;

/// What an answer begins with.
const HEAD: &[u8] = b"postrider pam 1";

/// The question whether `login` of `service` is right, from a client at
/// `remote_host`, which is empty if it is not known. No field holds a NUL.
pub(crate) fn question(
    service: &[u8],
    login: &authlib::record::Login<'_>,
    remote_host: &[u8],
) -> Zeroizing<Vec<u8>> {
    join(&[service, login.user, login.password, remote_host])
}

/// The same as PAM takes it: each field ends in NUL already.
pub(crate) fn login(question: &[u8]) -> Option<Login<'_>> {
    let texts: Vec<&CStr> = question
        .split_inclusive(|&octet| octet == 0)
        .map(|field| CStr::from_bytes_with_nul(field).ok())
        .collect::<Option<_>>()?;
    let [service, user, password, remote_host] = texts.try_into().ok()?;
    let remote_host = Some(remote_host).filter(|host| !host.is_empty());
    Some(Login { service, user, password, remote_host })
}

/// What PAM has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// This is who it is.
    Accepted(&'a [u8]),
    Rejected,
    /// Why it cannot be told.
    Unavailable(&'a [u8]),
}

impl<'a> Answer<'a> {
    pub(crate) fn fields(self) -> [&'a [u8]; 3] {
        match self {
            Answer::Accepted(user) => [HEAD, b"accepted", user],
            Answer::Rejected => [HEAD, b"rejected", b""],
            Answer::Unavailable(reason) => [HEAD, b"unavailable", reason],
        }
    }

    pub(crate) fn decode(octets: &'a [u8]) -> Option<Self> {
        match split(octets)? {
            [HEAD, b"accepted", user] => Some(Answer::Accepted(user)),
            [HEAD, b"rejected", b""] => Some(Answer::Rejected),
            [HEAD, b"unavailable", reason] => Some(Answer::Unavailable(reason)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, login, question};
    use authlib::helper::join;

    #[test]
    fn what_is_said_is_understood_and_a_part_of_it_is_not() {
        for answer in [Answer::Accepted(b"alice"), Answer::Rejected, Answer::Unavailable(b"down")] {
            let octets = join(&answer.fields());
            assert_eq!(Answer::decode(&octets), Some(answer));
            for end in 0..octets.len() {
                assert_eq!(Answer::decode(&octets[..end]), None, "{answer:?} {end}");
            }
        }
        assert_eq!(Answer::decode(b"postrider pam 1\0rejected\0alice\0"), None);
    }

    #[test]
    fn a_question_is_four_fields() {
        let who = authlib::record::Login { user: b"alice", password: b"secret" };
        let octets = question(b"pop3", &who, b"192.0.2.7");
        let understood = login(&octets).unwrap();
        assert_eq!((understood.user, understood.password), (c"alice", c"secret"));
        assert_eq!((understood.service, understood.remote_host), (c"pop3", Some(c"192.0.2.7")));
        assert!(login(&question(b"pop3", &who, b"")).unwrap().remote_host.is_none());
        for end in 0..octets.len() {
            assert!(login(&octets[..end]).is_none(), "{end}");
        }
    }
}
