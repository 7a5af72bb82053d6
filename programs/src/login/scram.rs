//! SCRAM, as far as it needs others: authdaemond is asked for the salt, then
//! about the proof, and the account waits for the client's last word.
//!
//! A chain of modules is asked once and never comes back with an answer, so it
//! cannot serve this (ledger 164).

use authlib::sasl::{Exchange, Mechanism};
use authlib::scram::{Proof, Wanted};

use super::enter::{self, Answer};
use super::session::{Next, Session};
use super::settings::{self, Form};
use crate::log;

impl Session<'_> {
    /// The client has said who it is: names the salt.
    pub(super) fn name_salt(&mut self, mechanism: Mechanism, mut exchange: Exchange, wanted: Wanted) -> Next {
        self.flush()?;
        let wanted = settings::with_default_domain(wanted);
        match enter::ask_for_salt(&settings::service(), &wanted, &self.peer) {
            Ok(Some(salt)) => {
                let step = exchange.salt(&salt);
                self.exchange_goes_on(mechanism, exchange, step)
            }
            Ok(None) => {
                let name = mechanism.name();
                log::error(&format_args!("authdaemond does not know {name}; POP3AUTH should not list it"));
                self.cannot_serve(mechanism)
            }
            Err(_) => self.cannot_tell(),
        }
    }

    /// The client has given its proof: shows ours, if it is right.
    pub(super) fn verify(&mut self, mechanism: Mechanism, mut exchange: Exchange, proof: Proof) -> Next {
        self.flush()?;
        let attempt = Session::attempt(mechanism);
        let Ok(record) = settings::scram_record(proof) else { return self.refuse(&attempt) };
        let account = match enter::ask(&record, &self.peer) {
            Ok(account) => account,
            Err(Answer::No) => return self.refuse(&attempt),
            Err(Answer::CannotTell) => return self.cannot_tell(),
        };
        let Some(signature) = &account.server_signature else {
            log::error(&"authdaemond has accepted a proof and not signed it");
            return self.cannot_tell();
        };
        let step = exchange.signed(signature);
        self.accepted = Some(account);
        self.exchange_goes_on(mechanism, exchange, step)
    }

    /// The client has heard the signature: becomes the next program.
    pub(super) fn enter_accepted(&mut self, mechanism: Mechanism) -> Next {
        let (Some(account), Form::Daemon { program, maildir }) = (self.accepted.take(), &self.form) else {
            return self.refuse(&Session::attempt(mechanism));
        };
        let (program, maildir) = (program.clone(), maildir.clone());
        self.hand_over()?;
        enter::enter(&account, &program, &maildir, &mut self.handover);
        self.cannot_tell()
    }
}
