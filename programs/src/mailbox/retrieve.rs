//! RETR and TOP: a message file on its way to the client.

use pop3::reply::Reply;
use pop3::{Encoder, Retrieval, Sent, Transaction};

use super::adapter::Listing;
use super::session::Client;
use super::text::{self, Text};
use crate::log::Ending;

/// Why a message was not sent whole.
pub(super) enum Failure {
    /// Nothing has been said yet: this is the reply.
    NotBegun(Reply),
    /// The client has gone or does not read.
    Client(Ending),
    /// The reply has begun and cannot be ended.
    File,
}

impl From<text::NotOpen> for Failure {
    fn from(text::NotOpen(reply): text::NotOpen) -> Self {
        Failure::NotBegun(reply)
    }
}

impl From<text::Broken> for Failure {
    fn from(_: text::Broken) -> Self {
        Failure::File
    }
}

/// Sends one message, or its beginning.
pub(super) fn send(
    transaction: &mut Transaction<Listing>,
    retrieval: Retrieval,
    client: &mut Client<'_>,
) -> Result<Sent, Failure> {
    let mut text = Text::open(&mut transaction.maildrop_mut().0, retrieval.message.place())?;
    // RETR announces what it is about to send: the file as it is now, not as
    // it was when it was listed.
    let octets = if retrieval.top.is_none() { text.octets()? } else { 0 };
    let mut encoder = transaction.begin(retrieval, octets, &mut client.out);
    copy(&mut text, &mut encoder, client)?;
    Ok(encoder.finish(&mut client.out))
}

/// Copies the file through the encoder. The last chunk stays among the
/// client's gathered replies, so that the end of the reply is not torn from it.
fn copy(text: &mut Text, encoder: &mut Encoder<'_>, client: &mut Client<'_>) -> Result<(), Failure> {
    while !encoder.satisfied() {
        let chunk = text.next_chunk()?;
        if chunk.is_empty() {
            break;
        }
        client.flush_if_much().map_err(Failure::Client)?;
        encoder.push(chunk, &mut client.out);
    }
    Ok(())
}
