//! The S flag of messages that the client has fetched (reference maildir.md 6).
//!
//! It is a courtesy to other programs: without it nothing is lost. A client that
//! empties its maildrop says DELE behind each RETR, and to rename what is about
//! to go would be as much work again. So a message gets its flag when the client
//! has said what comes next (ledger 152).

use std::mem;

use pop3::{MessageNumber, Transaction};

use super::adapter::Listing;

/// Messages that were sent whole and have not got their flag.
#[derive(Default)]
pub(super) struct Unseen {
    /// The client may not have all of them yet.
    answered: Vec<MessageNumber>,
    /// The client has them, and has said nothing more.
    fetched: Vec<MessageNumber>,
    /// The client has them, and has marked them as deleted.
    marked: Vec<MessageNumber>,
}

impl Unseen {
    /// A reply is complete that has all of `message`.
    pub(super) fn answered(&mut self, message: MessageNumber) {
        self.answered.push(message);
    }

    /// All replies have gone.
    pub(super) fn all_gone(&mut self) {
        self.fetched.append(&mut self.answered);
    }

    /// The client has said something more.
    pub(super) fn flag(&mut self, transaction: &mut Transaction<Listing>) {
        for message in mem::take(&mut self.fetched) {
            if transaction.is_marked(message) {
                self.marked.push(message);
            } else {
                flag(transaction, message);
            }
        }
    }

    /// The client has said QUIT: what is marked now is deleted.
    pub(super) fn flag_what_stays(&mut self, transaction: &mut Transaction<Listing>) {
        self.fetched.append(&mut self.marked);
        self.flag(transaction);
    }

    /// The client has gone without QUIT: nothing is deleted.
    pub(super) fn flag_all(&mut self, transaction: &mut Transaction<Listing>) {
        for message in self.fetched.drain(..).chain(self.marked.drain(..)) {
            flag(transaction, message);
        }
    }
}

fn flag(transaction: &mut Transaction<Listing>, message: MessageNumber) {
    let maildrop = &mut transaction.maildrop_mut().0;
    if let Some(place) = maildrop.place(message.place()) {
        let _ = maildrop.mark_seen(place);
    }
}
