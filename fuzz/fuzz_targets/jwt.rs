//! Tokens, what is said in them, and keys, from anybody: nobody makes a token
//! that the three keys have not signed, and no name leads out of its place.

#![no_main]

use std::sync::LazyLock;

use authlib::Ids;
use authlib::domain::DefaultDomain;
use authoauth2::account::{Pattern, Template};
use authoauth2::claims::Claims;
use authoauth2::jwt::{ALGORITHMS, Form};
use authoauth2::key_set::KeySet;
use authoauth2::rules::Rules;
use libfuzzer_sys::fuzz_target;

/// All that was ever signed with the keys.
const SIGNED: [&str; 3] = [
    include_str!("../seeds/jwt/rs256"),
    include_str!("../seeds/jwt/es256"),
    include_str!("../seeds/jwt/eddsa"),
];
/// When it was good.
const NOW: f64 = 1_000_000.0;

static KEYS: LazyLock<KeySet> =
    LazyLock::new(|| KeySet::parse(include_bytes!("../seeds/jwt/keys")).expect("the seed is a set of keys"));

fuzz_target!(|octets: &[u8]| {
    let form = Form { algorithms: ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec(), types: Vec::new() };
    if let Ok(token) = form.take_apart(octets)
        && let Some(key) = KEYS.find(token.key_name(), token.algorithm())
        && let Ok(claims) = token.claims(key)
    {
        let text = std::str::from_utf8(octets).expect("a token is text");
        let signed = |text: &str| text.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        assert!(SIGNED.iter().any(|known| signed(known) == signed(text)), "a forged token");
        assert_eq!(rules().name(&claims, NOW).expect("it is good"), b"alice@example.com");
    }
    if let Ok(claims) = Claims::parse(octets)
        && let Ok(name) = rules().name(&claims, NOW)
    {
        opens(&name);
    }
    opens(octets);
    let _ = KeySet::parse(octets);
});

fn rules() -> Rules {
    Rules {
        issuer: Some("https://id.example.com".to_owned()),
        audiences: vec!["mail".to_owned()],
        scopes: vec!["pop".to_owned()],
        expiry_required: true,
        leeway: 60,
        max_age: Some(3600),
        claim: "email".to_owned(),
        domain: DefaultDomain::new(Some(b"@example.com"), None),
    }
}

/// The home of `name` is three names below the root.
fn opens(name: &[u8]) {
    let template = Template {
        ids: Ids::numeric(5000, 5000).expect("not root's"),
        home: Pattern::absolute("home", "/srv/$(domain)/$(local_part)").expect("a pattern"),
        maildir: None,
    };
    if let Ok(account) = template.account(name) {
        let names: Vec<_> = account.home.iter().collect();
        assert_eq!((names.len(), account.home.starts_with("/srv")), (4, true), "{:?}", account.home);
        assert!(names.iter().all(|name| !name.as_encoded_bytes().starts_with(b".")));
    }
}
