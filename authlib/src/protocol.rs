//! The language that authdaemond speaks on its socket, and a module program
//! on its standard input and output (reference: authlib 3 and 13).
//!
//! Both sides, and no I/O: a [`request::Reader`] is handed octets and gives
//! [`request::Question`]s, [`request`] also makes them; [`answer`] reads and
//! makes answers.
//!
//! ```text
//! TCPREMOTEIP=::1 LF AUTH 24 LF pop3 LF login LF alice LF secret LF
//!   UID=5000 LF GID=5000 LF HOME=/home/alice LF … . LF
//! PRE . pop3 nobody LF
//!   FAIL LF
//! ```
//!
//! SCRAM takes two questions, both AUTH (ledger 426, 427; [`scram`](crate::scram)
//! says why). An authdaemond that knows nothing of them says FAIL to the first,
//! which to ours means that the mechanism cannot be had, and nothing about a
//! password.
//!
//! ```text
//! AUTH 25 LF pop3 LF scram-sha-256 LF alice LF
//!   SALT=20000:c2FsdA== LF . LF
//! AUTH 310 LF pop3 LF scram-sha-256 LF alice LF bj1hbGlj… LF cj1y… LF Yz1i… LF cHJv… LF
//!   UID=5000 LF … SERVERSIGNATURE=djE2… LF . LF
//! ```

pub mod answer;
pub mod request;
