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

pub mod answer;
pub mod request;
