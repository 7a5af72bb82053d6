//! What PostgreSQL and its driver say, for the log.

use std::error::Error as _;
use std::io;

use authlib::Unavailable;
use authlib::printable::printable;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Classes of SQLSTATE whose messages are about statements, rights and the
/// server, and never about a value: it may be a password.
const TELLABLE: [&str; 11] = ["08", "0A", "25", "28", "3D", "3F", "42", "53", "54", "55", "57"];

/// Why the driver or the server has failed.
pub(crate) fn unavailable(error: &Error) -> Unavailable {
    Unavailable::new(printable(words(error).as_bytes()))
}

fn words(error: &Error) -> String {
    if let Some(database) = error.as_db_error() {
        let code = database.code().code();
        let is_tellable = code.get(..2).is_some_and(|class| TELLABLE.contains(&class));
        let message = if is_tellable { database.message() } else { "the server refuses a value" };
        return format!("{message} (SQLSTATE {code})");
    }
    match error.source() {
        Some(source) => match source.downcast_ref::<io::Error>() {
            Some(io) => format!("{error}: {}", authlib::printable::reason(io)),
            None => format!("{error}: {source}"),
        },
        None => error.to_string(),
    }
}

/// Whether the error is about a value that is no such number, no text in the
/// data base's encoding, or the like.
pub(crate) fn is_about_a_value(error: &Error) -> bool {
    let codes = [
        SqlState::INVALID_TEXT_REPRESENTATION,
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        SqlState::UNTRANSLATABLE_CHARACTER,
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        SqlState::INVALID_DATETIME_FORMAT,
        SqlState::DATETIME_FIELD_OVERFLOW,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}
