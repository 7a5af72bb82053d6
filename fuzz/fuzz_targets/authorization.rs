//! The AUTHORIZATION state: every line gets exactly one reply, or a wish that
//! the driver answers; replies are whole lines of text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3::{Authorization, AuthorizationAction as Action, CREDENTIAL_LIMIT, LineReader, Offer};

fuzz_target!(|input: (bool, bool, bool, &[u8])| {
    let (stls, tls_required, apop, mut text) = input;
    let mechanisms = vec!["PLAIN".to_owned(), "LOGIN".to_owned()];
    let mechanisms_under_tls = mechanisms.clone();
    let timestamp = apop.then(|| b"<1@host>".to_vec());
    let offer = Offer { mechanisms_under_tls, mechanisms, stls, tls: false, tls_required, timestamp };
    let mut state = Authorization::new(offer);
    let mut reader = LineReader::new(CREDENTIAL_LIMIT);
    while let Some(line) = reader.take(&mut text) {
        let mut out = Vec::new();
        match state.line(&line, &mut out) {
            Action::Continue | Action::Aborted => assert!(!out.is_empty()),
            Action::Login { .. } | Action::Apop { .. } => {
                assert!(out.is_empty());
                assert!(!tls_required || state.tls());
            }
            Action::Authenticate { .. } => {
                assert!(out.is_empty());
                state.challenge(b"more", &mut out);
            }
            Action::Respond(_) => assert!(out.is_empty()),
            Action::StartTls => {
                assert!(stls && !state.tls());
                state.tls_started();
                assert!(!state.utf8());
            }
            Action::Quit | Action::Drop => {
                assert!(out.ends_with(b"\r\n"));
                return;
            }
        }
        assert!(out.is_empty() || out.ends_with(b"\r\n"));
        assert!(!out.contains(&0));
    }
});
