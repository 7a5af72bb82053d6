//! What the monitor does for who comes to the control socket.

use std::fmt::Write;

use super::super::control::Request;
use super::Monitor;
use super::farewell::Farewell;
use super::office::Asked;
use super::process::Token;
use crate::log;

impl Monitor {
    /// Hears who has come to the control socket.
    pub(super) fn attend(&mut self, token: Token) {
        let Some(Asked { visitor, uid, request }) = self.office.attend(token, &self.parts) else { return };
        if request != Request::Status {
            log::line(format_args!("INFO: asked to {}, uid={uid}", request.word()));
        }
        match request {
            Request::Status => {
                let status = self.status();
                self.office.answer(visitor, &Ok(status));
            }
            Request::Upgrade => self.begin_succession(visitor),
            Request::Reload if self.farewell.is_some() => {
                self.office.answer(visitor, &Err(SHUTTING_DOWN.to_owned()));
            }
            Request::Reload => {
                self.wants_reload = true;
                self.look_soon();
                self.office.await_reload(visitor);
            }
            Request::Stop => {
                self.office.await_the_end(visitor, &Ok("The service has ended.".to_owned()));
                if matches!(self.farewell, None | Some(Farewell::Succeeded)) {
                    self.begin_farewell();
                }
            }
        }
    }

    /// How the service is: a line each, a word and a colon first.
    fn status(&self) -> String {
        let mut text =
            format!("pid: {}\nuptime: {} s\n", std::process::id(), self.started.elapsed().as_secs());
        let mut line = |word: &str, said: std::fmt::Arguments<'_>| {
            let _a_string_takes_everything = writeln!(text, "{word}: {said}");
        };
        if let Some(serving) = &self.serving {
            line("generation", format_args!("{}", serving.number));
        }
        let parts = self.parts.numbers();
        line(
            "processes",
            format_args!(
                "auth {}, fronts {}, mailboxes {}, proxies {}, leaving {}",
                parts.auth, parts.fronts, parts.mailboxes, parts.proxies, parts.leaving
            ),
        );
        let sessions = self.sessions.numbers();
        line("sessions", format_args!("{} of {} accounts", sessions.all, sessions.accounts));
        line("before login", format_args!("{}", sessions.strangers));
        for listener in self.serving.iter().flat_map(|serving| &serving.plan.listeners) {
            line("listening", format_args!("{listener}"));
        }
        if self.predecessor.is_some() {
            line("before this", format_args!("a process that finishes its sessions"));
        }
        let state = match (self.farewell.is_some(), self.trial.is_some(), self.wants_reload) {
            (true, ..) => SHUTTING_DOWN,
            (_, true, _) => "new settings are tried",
            (_, _, true) => "the settings are to be read again",
            _ => "serving",
        };
        line("state", format_args!("{state}"));
        if let Some((when, why)) = &self.refused {
            line("refused settings", format_args!("{} s ago: {why}", when.elapsed().as_secs()));
        }
        text
    }
}

/// Why nothing else is done.
pub(super) const SHUTTING_DOWN: &str = "shutting down";
