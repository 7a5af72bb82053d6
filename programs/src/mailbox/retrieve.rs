//! RETR and TOP: a message file on its way to the client.

use pop3::reply::Reply;
use pop3::{Encoder, Retrieval, Sent, Transaction};

use super::adapter::Listing;
use super::text::{NotOpen, Text};

/// A message of which a part has been sent.
pub(super) struct Sending {
    retrieval: Retrieval,
    text: Text,
    encoder: Encoder,
}

/// What a step has come to.
pub(super) enum Progress {
    /// There is more.
    More(Box<Sending>),
    /// The reply is complete.
    Done(Retrieval, Sent),
    /// The file cannot be read to its end; the reply has begun and cannot be
    /// ended.
    Broken,
}

impl Sending {
    /// Begins the reply in `out`.
    ///
    /// # Errors
    /// Nothing has been said: this is the reply.
    pub(super) fn begin(
        transaction: &mut Transaction<Listing>,
        retrieval: Retrieval,
        out: &mut Vec<u8>,
    ) -> Result<Sending, Reply> {
        let place = retrieval.message.place();
        let open = Text::open(&mut transaction.maildrop_mut().0, place);
        let mut text = open.map_err(|NotOpen(reply)| reply)?;
        // RETR announces what it is about to send: the file as it is now, not as
        // it was when it was listed.
        let octets = match retrieval.top {
            None => text.octets().map_err(|NotOpen(reply)| reply)?,
            Some(_) => 0,
        };
        let encoder = transaction.begin(retrieval, octets, out);
        Ok(Sending { retrieval, text, encoder })
    }

    /// Appends the next chunk to `out`, and with the last one the end of the
    /// reply, so that it is not torn from it.
    pub(super) fn go_on(mut self: Box<Self>, out: &mut Vec<u8>) -> Progress {
        if !self.encoder.satisfied() {
            self.encoder.push(self.text.chunk(), out);
        }
        if !self.encoder.satisfied() {
            match self.text.read_next() {
                Ok(true) => return Progress::More(self),
                Ok(false) => {}
                Err(_) => return Progress::Broken,
            }
        }
        Progress::Done(self.retrieval, self.encoder.finish(out))
    }
}
