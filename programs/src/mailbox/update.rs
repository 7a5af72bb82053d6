//! UPDATE: the messages that QUIT deletes are deleted, and then QUIT is
//! answered (RFC 1939 section 6; ledger 203).

use authlib::printable::reason;
use pop3::Update;
use pop3::reply::{self, Reply};

use super::adapter::Listing;
use super::settings::Settings;
use crate::log::{self, Harmless};

/// Spends `update` and gives the reply to QUIT.
pub(super) fn spend(Listing(mut maildrop): Listing, update: Update, settings: &Settings) -> Reply {
    let places: Vec<_> = update.into_places().filter_map(|place| maildrop.place(place)).collect();
    let removal = maildrop.remove(places, &mut |notice| settings.notice(&notice));
    if settings.log_deletions {
        for &place in &removal.removed {
            settings.session.deleted(maildrop.name(place));
        }
    }
    for (place, error) in &removal.failed {
        let (name, user) = (Harmless(maildrop.name(*place)), Harmless(&settings.address));
        log::error(&format_args!("unlink(./cur/{name}) failed: {}, user={user}", reason(error)));
    }
    if removal.is_complete() { reply::BYE } else { reply::NOT_REMOVED }
}
