//! What the numbers mean that PAM's functions return (ledger 760).
//!
//! | says | numbers | because |
//! |---|---|---|
//! | no | PERM_DENIED, AUTH_ERR, USER_UNKNOWN, MAXTRIES | the modules do not want this user, with this password, from there, now |
//! | no | NEW_AUTHTOK_REQD, AUTHTOK_EXPIRED, ACCT_EXPIRED, CRED_EXPIRED | the time of the password or of the account is over; a client of POP3 cannot change that |
//! | cannot tell | all others | the modules could not ask, or are not set up: AUTHINFO_UNAVAIL, SYSTEM_ERR, CRED_INSUFFICIENT, MODULE_UNKNOWN, ABORT, … |

/// Whether `code`, a number of `<security/_pam_types.h>`, is a no. Everything
/// else but PAM_SUCCESS says that it cannot be told.
pub(crate) fn is_no(code: i32) -> bool {
    const PERM_DENIED: i32 = 6;
    const AUTH_ERR: i32 = 7;
    const USER_UNKNOWN: i32 = 10;
    const MAXTRIES: i32 = 11;
    const NEW_AUTHTOK_REQD: i32 = 12;
    const ACCT_EXPIRED: i32 = 13;
    const CRED_EXPIRED: i32 = 16;
    const AUTHTOK_EXPIRED: i32 = 27;
    matches!(
        code,
        PERM_DENIED
            | AUTH_ERR
            | USER_UNKNOWN
            | MAXTRIES
            | NEW_AUTHTOK_REQD
            | ACCT_EXPIRED
            | CRED_EXPIRED
            | AUTHTOK_EXPIRED
    )
}
