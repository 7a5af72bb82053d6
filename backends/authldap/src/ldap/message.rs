//! Requests and answers (RFC 4511 section 4).

use super::ber::{
    BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTET_STRING, Octets, Reader, SEQUENCE, SET, element, elements,
    number, string,
};

const BIND_REQUEST: u8 = 0x60;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const MODIFY_REQUEST: u8 = 0x66;
const EXTENDED_REQUEST: u8 = 0x77;
const CONTROLS: u8 = 0xa0;
const SIMPLE: u8 = 0x80;
const REQUEST_NAME: u8 = 0x80;
const REQUEST_VALUE: u8 = 0x81;
const REFERRAL: u8 = 0xa3;

/// The kinds of answers that are expected.
pub(crate) const BIND_RESPONSE: u8 = 0x61;
pub(crate) const SEARCH_ENTRY: u8 = 0x64;
pub(crate) const SEARCH_DONE: u8 = 0x65;
pub(crate) const MODIFY_RESPONSE: u8 = 0x67;
pub(crate) const SEARCH_REFERENCE: u8 = 0x73;
pub(crate) const EXTENDED_RESPONSE: u8 = 0x78;

/// StartTLS (RFC 4511 section 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// Modify a password (RFC 3062).
const MODIFY_PASSWORD: &[u8] = b"1.3.6.1.4.1.4203.1.11.1";
/// Simple paged results (RFC 2696).
const PAGED_RESULTS: &[u8] = b"1.2.840.113556.1.4.319";

/// How aliases are treated in a search. (`LDAP_DEREF`)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Deref {
    #[default]
    Never = 0,
    Searching = 1,
    Finding = 2,
    Always = 3,
}

/// A search of a whole subtree.
pub(crate) struct Search<'a> {
    pub(crate) base: &'a str,
    pub(crate) deref: Deref,
    /// Most entries; 0 is no limit.
    pub(crate) most: u32,
    /// As it travels.
    pub(crate) filter: &'a [u8],
    /// The attributes that are wanted, at least one.
    pub(crate) attributes: &'a [&'a str],
}

/// One page of the entries that a search finds.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    /// Most entries.
    pub(crate) size: u32,
    /// What the server gave with the page before; empty for the first.
    pub(crate) cookie: &'a [u8],
}

/// A whole request with the number `id`.
pub(crate) fn request(id: u32, operation: &Octets, controls: Option<&Octets>) -> Octets {
    let id = number(INTEGER, id);
    match controls {
        Some(controls) => element(SEQUENCE, &[&id, operation, controls]),
        None => element(SEQUENCE, &[&id, operation]),
    }
}

/// A simple bind (section 4.2).
pub(crate) fn bind(dn: &[u8], password: &[u8]) -> Octets {
    elements(BIND_REQUEST, &[number(INTEGER, 3), string(dn), element(SIMPLE, &[password])])
}

/// The client goes (section 4.3).
pub(crate) fn unbind() -> Octets {
    element(UNBIND_REQUEST, &[])
}

/// A search (section 4.5.1).
pub(crate) fn search(search: &Search<'_>) -> Octets {
    const WHOLE_SUBTREE: u32 = 2;
    let attributes: Vec<Octets> = search.attributes.iter().map(|name| string(name.as_bytes())).collect();
    elements(
        SEARCH_REQUEST,
        &[
            string(search.base.as_bytes()),
            number(ENUMERATED, WHOLE_SUBTREE),
            number(ENUMERATED, search.deref as u32),
            number(INTEGER, search.most),
            // Who asks has a clock of his own.
            number(INTEGER, 0),
            element(BOOLEAN, &[&[0]]),
            Octets::new(search.filter.to_vec()),
            elements(SEQUENCE, &attributes),
        ],
    )
}

/// The control that asks for a page (RFC 2696), and that it be obeyed.
pub(crate) fn page(page: Page<'_>) -> Octets {
    let value = elements(SEQUENCE, &[number(INTEGER, page.size), string(page.cookie)]);
    let control = elements(SEQUENCE, &[string(PAGED_RESULTS), element(BOOLEAN, &[&[0xff]]), string(&value)]);
    elements(CONTROLS, &[control])
}

/// Each of `attributes` of the entry `dn` gets the one value beside it (section
/// 4.6).
pub(crate) fn modify(dn: &[u8], attributes: &[(&str, &[u8])]) -> Octets {
    const REPLACE: u32 = 2;
    let changes = attributes.iter().map(|(name, value)| {
        let values = elements(SET, &[string(value)]);
        let attribute = elements(SEQUENCE, &[string(name.as_bytes()), values]);
        elements(SEQUENCE, &[number(ENUMERATED, REPLACE), attribute])
    });
    elements(MODIFY_REQUEST, &[string(dn), elements(SEQUENCE, &changes.collect::<Vec<_>>())])
}

/// TLS from here on (section 4.14).
pub(crate) fn start_tls() -> Octets {
    element(EXTENDED_REQUEST, &[&element(REQUEST_NAME, &[START_TLS])])
}

/// The password of `dn` is to be `new`, in whatever form the server keeps it
/// (RFC 3062).
pub(crate) fn modify_password(dn: &[u8], old: &[u8], new: &[u8]) -> Octets {
    let (user, old, new) = (element(0x80, &[dn]), element(0x81, &[old]), element(0x82, &[new]));
    let value = elements(SEQUENCE, &[user, old, new]);
    elements(
        EXTENDED_REQUEST,
        &[element(REQUEST_NAME, &[MODIFY_PASSWORD]), element(REQUEST_VALUE, &[&value])],
    )
}

/// An answer, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The number of the request; 0 if the server speaks unasked.
    pub(crate) id: u32,
    /// Its kind.
    pub(crate) tag: u8,
    /// What it says.
    pub(crate) content: Reader<'a>,
    controls: Reader<'a>,
}

impl<'a> Answer<'a> {
    /// The answer that the octets of one message are.
    pub(crate) fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut message = Reader::new(Reader::new(octets).expect(SEQUENCE)?);
        let id = message.number(INTEGER)?;
        let (tag, content) = message.next()?;
        let controls = message.optional(CONTROLS)?.unwrap_or_default();
        Ok(Answer { id, tag, content: Reader::new(content), controls: Reader::new(controls) })
    }

    /// How it went (section 4.1.9).
    pub(crate) fn result(mut self) -> Result<ResultCode, Malformed> {
        let code = self.content.number(ENUMERATED)?;
        self.content.expect(OCTET_STRING)?;
        self.content.expect(OCTET_STRING)?;
        self.content.optional(REFERRAL)?;
        Ok(ResultCode(code))
    }

    /// What to ask for the next page with; `None` after the last one, or if the
    /// server knows of no pages.
    pub(crate) fn cookie(mut self) -> Result<Option<&'a [u8]>, Malformed> {
        while !self.controls.is_empty() {
            let mut control = Reader::new(self.controls.expect(SEQUENCE)?);
            let is_page = control.expect(OCTET_STRING)? == PAGED_RESULTS;
            control.optional(BOOLEAN)?;
            let value = control.optional(OCTET_STRING)?;
            if is_page {
                let mut page = Reader::new(Reader::new(value.ok_or(Malformed)?).expect(SEQUENCE)?);
                page.expect(INTEGER)?;
                let cookie = page.expect(OCTET_STRING)?;
                return Ok(Some(cookie).filter(|cookie| !cookie.is_empty()));
            }
        }
        Ok(None)
    }
}

/// How an operation went (section 4.1.9 and appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResultCode(pub(crate) u32);

impl ResultCode {
    pub(crate) const SUCCESS: ResultCode = ResultCode(0);
    pub(crate) const SIZE_LIMIT_EXCEEDED: ResultCode = ResultCode(4);
    pub(crate) const NO_SUCH_OBJECT: ResultCode = ResultCode(32);
    pub(crate) const INAPPROPRIATE_AUTHENTICATION: ResultCode = ResultCode(48);
    pub(crate) const INVALID_CREDENTIALS: ResultCode = ResultCode(49);
    pub(crate) const BUSY: ResultCode = ResultCode(51);
    pub(crate) const UNAVAILABLE: ResultCode = ResultCode(52);

    /// What the RFC calls it.
    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "success",
            1 => "operationsError",
            2 => "protocolError",
            3 => "timeLimitExceeded",
            4 => "sizeLimitExceeded",
            7 => "authMethodNotSupported",
            8 => "strongerAuthRequired",
            10 => "referral",
            11 => "adminLimitExceeded",
            12 => "unavailableCriticalExtension",
            13 => "confidentialityRequired",
            16 => "noSuchAttribute",
            17 => "undefinedAttributeType",
            18 => "inappropriateMatching",
            19 => "constraintViolation",
            20 => "attributeOrValueExists",
            21 => "invalidAttributeSyntax",
            32 => "noSuchObject",
            33 => "aliasProblem",
            34 => "invalidDNSyntax",
            36 => "aliasDereferencingProblem",
            48 => "inappropriateAuthentication",
            49 => "invalidCredentials",
            50 => "insufficientAccessRights",
            51 => "busy",
            52 => "unavailable",
            53 => "unwillingToPerform",
            54 => "loopDetect",
            65 => "objectClassViolation",
            80 => "other",
            _ => return None,
        })
    }
}

impl std::fmt::Display for ResultCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "result code {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The end of a search, with the page behind it.
    fn done() -> Octets {
        let done = elements(SEARCH_DONE, &[number(ENUMERATED, 4), string(b"a"), string(b"b")]);
        request(7, &done, Some(&page(Page { size: 0, cookie: b"next" })))
    }

    fn read(octets: &[u8]) {
        if let Ok(answer) = Answer::parse(octets) {
            let _ = (answer.result(), answer.cookie());
        }
    }

    #[test]
    fn half_an_answer_is_none() {
        let whole = done();
        for end in 0..whole.len() {
            assert!(Answer::parse(&whole[..end]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_octets_do_harm(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            read(&octets);
        }

        #[test]
        fn no_damaged_answer_does_harm(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut octets = done();
            let at = at.index(octets.len());
            octets[at] = octet;
            read(&octets);
        }
    }

    #[test]
    fn requests_are_those_of_the_rfc() {
        let bind = request(1, &bind(b"cn=a", b"pw"), None);
        assert_eq!(bind.as_slice(), b"\x30\x12\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04cn=a\x80\x02pw");
        assert_eq!(request(2, &unbind(), None).as_slice(), b"\x30\x05\x02\x01\x02\x42\x00");
        assert_eq!(start_tls().as_slice(), b"\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
        assert_eq!(
            modify(b"cn=a", &[("pw", b"x")]).as_slice(),
            b"\x66\x18\x04\x04cn=a\x30\x10\x30\x0e\x0a\x01\x02\x30\x09\x04\x02pw\x31\x03\x04\x01x"
        );
        let filter = b"\x87\x01a";
        let search =
            search(&Search { base: "o=b", deref: Deref::Always, most: 2, filter, attributes: &["c"] });
        assert_eq!(
            search.as_slice(),
            b"\x63\x1c\x04\x03o=b\x0a\x01\x02\x0a\x01\x03\x02\x01\x02\x02\x01\x00\x01\x01\x00\x87\x01a\x30\x03\x04\x01c"
        );
    }

    #[test]
    fn an_answer_tells_how_it_went_and_where_the_next_page_begins() {
        let done = elements(SEARCH_DONE, &[number(ENUMERATED, 4), string(b""), string(b"too many")]);
        for cookie in [b"next".as_slice(), b""] {
            // A server's control is shaped as a client's, with a size that is none.
            let octets = request(7, &done, Some(&page(Page { size: 0, cookie })));
            let answer = Answer::parse(&octets).unwrap();
            assert_eq!((answer.id, answer.tag), (7, SEARCH_DONE));
            assert_eq!(answer.result(), Ok(ResultCode::SIZE_LIMIT_EXCEEDED));
            assert_eq!(answer.cookie(), Ok(Some(cookie).filter(|cookie| !cookie.is_empty())));
        }
        let octets = request(7, &done, None);
        assert_eq!(Answer::parse(&octets).unwrap().cookie(), Ok(None));
    }

    #[test]
    fn result_codes_have_the_rfcs_names() {
        assert_eq!(ResultCode::INVALID_CREDENTIALS.to_string(), "invalidCredentials");
        assert_eq!(ResultCode(4096).to_string(), "result code 4096");
    }
}
