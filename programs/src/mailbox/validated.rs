//! Has anybody been validated? (reference authlib.md 1.5; ledger 215)

use crate::chain;
use crate::environment;

use super::Refusal;

/// Goes on if a module or a login program has accepted somebody, or if nobody
/// was to be validated (started by hand). Otherwise the login program takes
/// over again, so that the client hears that the login failed; where there is
/// none, this process ends.
pub(super) fn or_start_over() -> Result<(), Refusal> {
    let accepted = environment::non_empty("AUTHENTICATED").is_some();
    let in_chain = environment::non_empty("AUTHARGC").is_some();
    if accepted || !(in_chain || chain::record_is_waiting()) {
        chain::drop_record();
        return Ok(());
    }
    Err(Refusal::Silent(chain::rerun_login()))
}
