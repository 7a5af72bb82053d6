//! CAPA (RFC 2449 section 5): what would be accepted now, and nothing else.

use alloc::string::String;
use alloc::vec::Vec;

use crate::reply::{self, put_line};

/// What a client who has not logged in may use.
pub(crate) struct BeforeLogin<'a> {
    /// Names of SASL mechanisms; none if login is refused before TLS.
    pub mechanisms: &'a [String],
    /// Whether STLS would be accepted.
    pub stls: bool,
    /// Whether USER would be.
    pub user: bool,
}

/// Answers CAPA; `before` is `None` in the TRANSACTION state, in which USER,
/// SASL and STLS would be lies (ledger 108).
pub(crate) fn answer(before: Option<&BeforeLogin<'_>>, out: &mut Vec<u8>) {
    reply::put(reply::CAPABILITIES, out);
    if let Some(before) = before {
        if !before.mechanisms.is_empty() {
            put_line!(out, "SASL {}", before.mechanisms.join(" "));
        }
        if before.stls {
            reply::put("STLS", out);
        }
        if before.user {
            reply::put("USER", out);
        }
    }
    for capability in [
        "TOP",
        "UIDL",
        "PIPELINING",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        // Mail stays until the client deletes it (RFC 2449 section 6.7).
        "EXPIRE NEVER",
        "UTF8 USER",
        "LANG",
        "IMPLEMENTATION postrider",
    ] {
        reply::put(capability, out);
    }
    reply::end(out);
}
