//! Maildirs: from files to a maildrop, and back at QUIT.
//!
//! This crate touches the file system below one directory and nothing else. It
//! knows no network, no password and no POP3 reply, starts no process, and reads
//! no environment; all calls block. What it does is specified by the Maildir
//! page of the reference (quoted as `maildir.md` with a section) and by the
//! ledger of differences from Courier.
//!
//! ```text
//! Maildir::open ── loginexec? ──> open_maildrop ──> Maildrop ── RETR: open_message, mark_seen
//!   (a held descriptor)             temporary: tmp/ cleaned         └─ QUIT: remove ── quota
//!                                   arrival:   new/ to cur/
//!                                   scan:      cur/ in order
//!                                   listing:   … meets courierpop3dsizelist
//!                                   opening:   sizes, lock, unique-ids, saved
//!   open_maildrop_known: nothing of that where it is known: listings, known, system::stamp;
//!     of what has changed no more than that: following, witness, lines
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests build their Maildirs by path"))]

mod arrival;
mod beneath;
mod count;
mod directories;
mod find;
mod following;
mod known;
mod lines;
mod listing;
mod listings;
mod lock;
mod maildrop;
mod make;
mod messages;
mod mime_type;
mod name;
mod notice;
mod octets;
mod opening;
mod order;
mod quota;
mod removal;
mod root;
mod scan;
mod size;
mod size_list;
mod temporary;
mod unique_id;
mod utf8;
mod watch;
mod whereabouts;
mod witness;

pub use listings::Listings;
pub use maildrop::{Maildrop, MessageFile, OpenError, Place};
pub use make::{MakeError, Sharing};
pub use notice::{Error, Harmless, Notice, Reason};
pub use octets::Octets;
pub use removal::Removal;
pub use root::Maildir;
pub use unique_id::UniqueId;
pub use utf8::Headers;
