//! What surrounds a message whose header a client may not understand.
//!
//! A client that has not said UTF8 gets a message with 8-bit header fields as
//! an attachment of a message that it can show (RFC 6856 section 7 leaves the
//! way to the server; Courier's way is kept, its miscounting is not:
//! ledger 208).

use alloc::format;
use alloc::sync::Arc;

/// Head and tail of the surrounding message, with LF line ends like a file.
/// A clone shares their text.
#[derive(Clone, Debug)]
pub struct Wrapper {
    head: Arc<str>,
    tail: Arc<str>,
}

impl Wrapper {
    /// A wrapper whose parts are divided by `boundary` and that calls the
    /// message inside `content_type` (Courier's MIME_UNICODE_MESSAGE_TYPE,
    /// normally `message/global`).
    ///
    /// The boundary should be one that nobody can foresee, else a message
    /// could end its own wrapper.
    #[must_use]
    pub fn new(boundary: &str, content_type: &str) -> Self {
        let head = format!(
            "From: Mail Delivery Subsystem <postmaster>\n\
             Subject: A message in Unicode is attached\n\
             MIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\
             Content-Transfer-Encoding: 8bit\n\
             \n\
             --{boundary}\n\
             Content-Type: text/plain; charset=us-ascii\n\
             \n\
             The header of the attached message is written in Unicode, and your mail\n\
             program has not said that it understands this (POP3 command UTF8,\n\
             RFC 6856). The message is complete and unchanged. If your mail program\n\
             cannot open the attachment, a newer one can.\n\
             \n\
             --{boundary}\n\
             Content-Type: {content_type}\n\
             Content-Transfer-Encoding: 8bit\n\
             \n"
        );
        Wrapper { head: head.into(), tail: format!("\n--{boundary}--\n").into() }
    }

    /// What comes before the message.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.head.as_bytes()
    }

    /// What comes behind the message's last line end.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        self.tail.as_bytes()
    }

    /// By how many octets on the wire a wrapped message is longer.
    #[must_use]
    pub fn octets(&self) -> u64 {
        let line_ends = |text: &str| text.bytes().filter(|&octet| octet == b'\n').count();
        let sum = self.head.len() + line_ends(&self.head) + self.tail.len() + line_ends(&self.tail);
        sum as u64
    }
}
