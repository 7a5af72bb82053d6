//! Whether what is said of a token makes it good here and now, and whose it is
//! (RFC 7519 section 4.1, RFC 8725 section 3).

use authlib::domain::DefaultDomain;
use authlib::printable::has_control;
use serde_json::Value;

use crate::claims::{Claims, NotThat};

/// Most octets of an account's name.
const NAME_LIMIT: usize = 320;

/// What an administrator asks of a token.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who must have made it; anybody if there is none.
    pub issuer: Option<String>,
    /// For one of these it must be made; for anybody if there are none.
    pub audiences: Vec<String>,
    /// The scopes that it must have, all of them.
    pub scopes: Vec<String>,
    /// Whether it must say when it ends.
    pub expiry_required: bool,
    /// By how many seconds clocks may differ.
    pub leeway: u32,
    /// The most seconds since it was made.
    pub max_age: Option<u32>,
    /// The claim that names the account.
    pub claim: String,
    /// What is added to a name without a domain.
    pub domain: DefaultDomain,
}

impl Rules {
    /// The name of the account that a token of `claims` is about, `now` in
    /// seconds since 1970.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn name(&self, claims: &Claims, now: f64) -> Result<Vec<u8>, &'static str> {
        self.time(claims, now)?;
        self.origin(claims)?;
        self.scope(claims)?;
        self.account(claims)
    }

    /// `exp`, `nbf` and `iat`.
    fn time(&self, claims: &Claims, now: f64) -> Result<(), &'static str> {
        let leeway = f64::from(self.leeway);
        let moment = |name| claims.moment(name).map_err(|NotThat| "one of its times is no time");
        match moment("exp")? {
            None if self.expiry_required => return Err("it does not say when it expires"),
            Some(end) if now >= end + leeway => return Err("it has expired"),
            _ => {}
        }
        if moment("nbf")?.is_some_and(|begin| now + leeway < begin) {
            return Err("it is not valid yet");
        }
        match (moment("iat")?, self.max_age) {
            (Some(made), _) if now + leeway < made => Err("it was made in the future"),
            (Some(made), Some(age)) if now > made + f64::from(age) + leeway => Err("it is too old"),
            (None, Some(_)) => Err("it does not say when it was made"),
            _ => Ok(()),
        }
    }

    /// `iss` and `aud`.
    fn origin(&self, claims: &Claims) -> Result<(), &'static str> {
        let issuer = claims.text("iss").map_err(|NotThat| "its issuer is no text")?;
        if self.issuer.as_deref().is_some_and(|wanted| issuer != Some(wanted)) {
            return Err("its issuer is another one");
        }
        let audiences = claims.texts("aud").map_err(|NotThat| "its audience is no list of texts")?;
        let is_ours = |audience: &&str| self.audiences.iter().any(|ours| ours == audience);
        if !self.audiences.is_empty() && !audiences.iter().any(is_ours) {
            return Err("it is for another audience");
        }
        Ok(())
    }

    /// `scope` (RFC 8693 section 4.2), or `scp`, as some servers call it.
    fn scope(&self, claims: &Claims) -> Result<(), &'static str> {
        let scopes = |name| claims.texts(name).map_err(|NotThat| "its scope is no text");
        let texts = [scopes("scope")?, scopes("scp")?].concat();
        let has = |wanted: &String| texts.iter().any(|text| text.split(' ').any(|scope| scope == wanted));
        if self.scopes.iter().all(has) { Ok(()) } else { Err("it lacks a scope") }
    }

    fn account(&self, claims: &Claims) -> Result<Vec<u8>, &'static str> {
        let name =
            claims.text(&self.claim).map_err(|NotThat| "the claim that names the account is no text")?;
        let name = name.ok_or("the claim that names the account is missing")?;
        if name.is_empty() || name.len() > NAME_LIMIT || has_control(name.as_bytes()) {
            return Err("the claim that names the account holds no name");
        }
        // OpenID Connect Core section 5.1: an address that its owner only claims
        // to have. Some servers write the truth as a text.
        let is_true = |value: &Value| *value == Value::Bool(true) || value == "true";
        if self.claim == "email" && claims.get("email_verified").is_some_and(|value| !is_true(value)) {
            return Err("its e-mail address is not verified");
        }
        Ok(self.domain.apply(name.as_bytes()).into_owned())
    }

    /// Whether a client that calls itself `named` means the account `name`;
    /// who names nobody does. Domains may be written in either case (RFC 5321
    /// section 2.4).
    #[must_use]
    pub fn is_meant(&self, named: &[u8], name: &[u8]) -> bool {
        if named.is_empty() {
            return true;
        }
        let named = self.domain.apply(named);
        parts(&named).0 == parts(name).0 && same_domain(&named, name)
    }
}

fn same_domain(one: &[u8], other: &[u8]) -> bool {
    match (parts(one).1, parts(other).1) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (one, other) => one == other,
    }
}

/// What stands before the last `@`, and behind it.
pub(crate) fn parts(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    match name.iter().rposition(|&octet| octet == b'@') {
        Some(at) => (&name[..at], Some(&name[at + 1..])),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;
    use crate::claims::Claims;
    use authlib::domain::DefaultDomain;

    const NOW: f64 = 1_000_000.0;

    fn rules() -> Rules {
        Rules {
            issuer: Some("https://id.example.com".to_owned()),
            audiences: vec!["mail".to_owned(), "pop3".to_owned()],
            scopes: vec!["read".to_owned(), "pop".to_owned()],
            expiry_required: true,
            leeway: 60,
            max_age: None,
            claim: "email".to_owned(),
            domain: DefaultDomain::default(),
        }
    }

    /// What a good token says, with `changes` at its end in place of what it
    /// says of the same.
    fn claims(changes: &str) -> Claims {
        let mut members = vec![
            r#""iss":"https://id.example.com""#,
            r#""aud":"mail""#,
            r#""scope":"pop other read""#,
            r#""exp":1000100"#,
            r#""email":"alice@example.com""#,
        ];
        let name = |member: &str| member.split(':').next().unwrap_or_default().to_owned();
        let changes: Vec<&str> = changes.split(';').filter(|change| !change.is_empty()).collect();
        members.retain(|member| !changes.iter().any(|change| name(change) == name(member)));
        members.extend(changes.into_iter().filter(|change| change.contains(':')));
        Claims::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap()
    }

    fn why(rules: &Rules, changes: &str) -> &'static str {
        rules.name(&claims(changes), NOW).unwrap_err()
    }

    #[test]
    fn a_good_token_names_its_account() {
        for changes in [
            "",
            r#""aud":["x","pop3"]"#,
            r#""scope":"pop";"scp":["read"]"#,
            r#""exp":999941"#,
            r#""nbf":1000060"#,
            r#""iat":1000060"#,
            r#""email_verified":true"#,
            r#""email_verified":"true""#,
        ] {
            assert_eq!(rules().name(&claims(changes), NOW), Ok(b"alice@example.com".to_vec()), "{changes}");
        }
    }

    #[test]
    fn each_rule_says_why() {
        for (changes, reason) in [
            (r#""exp""#, "it does not say when it expires"),
            (r#""exp":999940"#, "it has expired"),
            (r#""exp":"1000100""#, "one of its times is no time"),
            (r#""exp":-5"#, "one of its times is no time"),
            (r#""nbf":1000061"#, "it is not valid yet"),
            (r#""nbf":null"#, "one of its times is no time"),
            (r#""iat":1000061"#, "it was made in the future"),
            (r#""iss""#, "its issuer is another one"),
            (r#""iss":"https://id.example.com/""#, "its issuer is another one"),
            (r#""iss":["https://id.example.com"]"#, "its issuer is no text"),
            (r#""aud""#, "it is for another audience"),
            (r#""aud":"Mail""#, "it is for another audience"),
            (r#""aud":[]"#, "it is for another audience"),
            (r#""aud":["mail",1]"#, "its audience is no list of texts"),
            (r#""aud":{"mail":1}"#, "its audience is no list of texts"),
            (r#""scope":"pop readable""#, "it lacks a scope"),
            (r#""scope""#, "it lacks a scope"),
            (r#""scope":1"#, "its scope is no text"),
            (r#""email""#, "the claim that names the account is missing"),
            (r#""email":["alice@example.com"]"#, "the claim that names the account is no text"),
            (r#""email":7"#, "the claim that names the account is no text"),
            (r#""email":"""#, "the claim that names the account holds no name"),
            (r#""email":"al\nice@example.com""#, "the claim that names the account holds no name"),
            (r#""email":"al\u0000ice@example.com""#, "the claim that names the account holds no name"),
            (r#""email_verified":false"#, "its e-mail address is not verified"),
            (r#""email_verified":1"#, "its e-mail address is not verified"),
        ] {
            assert_eq!(why(&rules(), changes), reason, "{changes}");
        }
        let long = format!(r#""email":"{}""#, "a".repeat(400));
        assert_eq!(why(&rules(), &long), "the claim that names the account holds no name");
    }

    #[test]
    fn a_token_may_be_too_old_although_it_has_not_expired() {
        let rules = Rules { max_age: Some(100), ..rules() };
        assert_eq!(why(&rules, r#""iat":999839"#), "it is too old");
        assert_eq!(why(&rules, ""), "it does not say when it was made");
        assert!(rules.name(&claims(r#""iat":999840"#), NOW).is_ok());
    }

    #[test]
    fn what_is_not_asked_for_may_be_missing() {
        let rules = Rules {
            issuer: None,
            audiences: Vec::new(),
            scopes: Vec::new(),
            expiry_required: false,
            claim: "sub".to_owned(),
            ..rules()
        };
        let only = Claims::parse(br#"{"sub":"alice","email_verified":false}"#).unwrap();
        assert_eq!(rules.name(&only, NOW), Ok(b"alice".to_vec()));
    }

    #[test]
    fn the_client_and_the_token_mean_one_account() {
        let domain = DefaultDomain::new(Some(b"@example.com"), None);
        let rules = Rules { domain, claim: "sub".to_owned(), ..rules() };
        assert_eq!(rules.name(&claims(r#""sub":"alice""#), NOW), Ok(b"alice@example.com".to_vec()));
        for named in ["", "alice", "alice@example.com", "alice@EXAMPLE.com"] {
            assert!(rules.is_meant(named.as_bytes(), b"alice@example.com"), "{named}");
        }
        for named in ["Alice", "bob", "alice@example.org", "alice@example.com@example.com", "@example.com"] {
            assert!(!rules.is_meant(named.as_bytes(), b"alice@example.com"), "{named}");
        }
        let bare = self::rules();
        assert!(bare.is_meant(b"alice", b"alice") && !bare.is_meant(b"alice", b"alice@example.com"));
        assert!(!bare.is_meant(b"alice@", b"alice"));
    }
}
