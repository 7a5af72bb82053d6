//! The domain that is added to a bare user name: DEFDOMAIN and DOMAINSEP
//! (reference: authlib 4).

use std::borrow::Cow;

/// The rule of an administrator who set DEFDOMAIN, or no rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultDomain {
    suffix: Vec<u8>,
    separators: Vec<u8>,
}

impl DefaultDomain {
    /// From the settings DEFDOMAIN, such as `@example.com`, and DOMAINSEP,
    /// such as `@%`. Without DOMAINSEP the first character of DEFDOMAIN is
    /// what tells whether a name has a domain. An empty setting is none.
    #[must_use]
    pub fn new(defdomain: Option<&[u8]>, domainsep: Option<&[u8]>) -> Self {
        let suffix = defdomain.unwrap_or_default();
        let separators =
            domainsep.filter(|given| !given.is_empty()).unwrap_or(&suffix[..suffix.len().min(1)]);
        DefaultDomain { suffix: suffix.to_vec(), separators: separators.to_vec() }
    }

    /// The name that back-ends are asked for. The log shows the bare one.
    #[must_use]
    pub fn apply<'a>(&self, user: &'a [u8]) -> Cow<'a, [u8]> {
        if self.suffix.is_empty() || user.iter().any(|octet| self.separators.contains(octet)) {
            return Cow::Borrowed(user);
        }
        Cow::Owned([user, &self.suffix].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::DefaultDomain;

    fn apply(defdomain: &str, domainsep: Option<&str>, user: &str) -> String {
        let rule = DefaultDomain::new(Some(defdomain.as_bytes()), domainsep.map(str::as_bytes));
        String::from_utf8(rule.apply(user.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a_bare_name_gets_the_domain() {
        assert_eq!(apply("@example.com", None, "alice"), "alice@example.com");
        assert_eq!(apply("@example.com", None, "alice@example.org"), "alice@example.org");
        assert_eq!(apply("@example.com", None, "alice%example.org"), "alice%example.org@example.com");
    }

    #[test]
    fn domainsep_says_what_separates() {
        assert_eq!(apply("@example.com", Some("@%"), "alice%example.org"), "alice%example.org");
        assert_eq!(apply("@example.com", Some("%"), "alice@example.org"), "alice@example.org@example.com");
        assert_eq!(apply("@example.com", Some(""), "alice@example.org"), "alice@example.org");
    }

    #[test]
    fn without_defdomain_nothing_changes() {
        assert_eq!(DefaultDomain::new(None, Some(b"@")).apply(b"alice").as_ref(), b"alice");
        assert_eq!(DefaultDomain::default().apply(b"alice").as_ref(), b"alice");
        assert_eq!(apply("", None, "alice"), "alice");
    }
}
