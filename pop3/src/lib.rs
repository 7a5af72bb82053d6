//! The language of POP3: octets go in, replies and wishes come out.
//!
//! ```text
//!            octets ──> LineReader ──> Line ──> Authorization ──> Action: ask about credentials, start TLS, …
//!                                          └──> Transaction   ──> Action: send a message, UPDATE, …
//!   octets of files ──> Encoder    ──> the text of RETR and TOP
//! ```
//!
//! Nothing here reads, writes, waits, draws lots or looks at a clock; whoever
//! drives these types does, through standard input, through TLS, or through
//! nothing but a slice in a test. The crate is `no_std`, so that the compiler
//! holds it to that.
//!
//! The two states are two types, because they live in two processes under two
//! users. `RETR` before login is no mistake to be caught: [`Authorization`]
//! does not know the word. What QUIT leaves is one [`Update`], and it can be
//! spent once.
//!
//! Sources: RFC 1939, 2449, 2595, 3206, 5034, 6856; where Courier's users rely
//! on something else, the line names an entry of `docs/courier-ledger.md`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod authorization;
mod capability;
mod credential;
mod encoder;
mod envelope;
mod language;
mod line;
mod number;
pub mod reply;
mod transaction;
mod words;
mod wrapper;

pub use authorization::{Action as AuthorizationAction, Authorization, Offer};
pub use credential::Credential;
pub use encoder::{Encoder, Sent};
pub use envelope::{Response, Undecodable};
pub use line::{COMMAND_LIMIT, CREDENTIAL_LIMIT, Line, LineReader};
pub use number::MessageNumber;
pub use reply::ResponseCode;
pub use transaction::{
    About, Action as TransactionAction, Listing, Maildrop, Retrieval, Total, Transaction, Update,
};
pub use wrapper::Wrapper;
