//! What the server and its driver say, for the log.

use authlib::Unavailable;
use authlib::printable::{printable, reason};
use mysql_async::{Error, IoError};

/// Classes of SQLSTATE whose messages are about statements, rights and the
/// server, and never about a value: it may be a password.
const TELLABLE: [&str; 6] = ["08", "28", "3D", "42", "25", "40"];
/// Other errors of which this is true: ER_CON_COUNT_ERROR,
/// ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED, ER_OPTION_PREVENTS_STATEMENT,
/// ER_READ_ONLY_MODE.
const TELLABLE_CODES: [u16; 5] = [1040, 1129, 1130, 1290, 1836];

/// Why the driver or the server has failed.
pub(crate) fn unavailable(error: &Error) -> Unavailable {
    Unavailable::new(printable(words(error).as_bytes()))
}

fn words(error: &Error) -> String {
    match error {
        Error::Server(said) => {
            let is_tellable = said.state.get(..2).is_some_and(|class| TELLABLE.contains(&class))
                || TELLABLE_CODES.contains(&said.code);
            let message = if is_tellable { said.message.as_str() } else { "the server refuses a value" };
            format!("{message} (error {}, SQLSTATE {})", said.code, said.state)
        }
        Error::Io(IoError::Io(error)) => reason(error),
        Error::Io(IoError::Tls(error)) => format!("TLS: {error}"),
        // The message of another one may hold what could not be converted.
        Error::Driver(
            mysql_async::DriverError::FromValue { .. } | mysql_async::DriverError::FromRow { .. },
        ) => "a value that is none".to_owned(),
        Error::Driver(error) => error.to_string(),
        Error::Other(error) => error.to_string(),
        Error::Url(error) => error.to_string(),
    }
}

/// Whether the error may be about a character that a column's character set
/// does not have.
pub(crate) fn is_about_a_character(error: &Error) -> bool {
    // ER_CANT_AGGREGATE_2COLLATIONS, _3COLLATIONS, _NCOLLATIONS,
    // ER_INVALID_CHARACTER_STRING, ER_CANNOT_CONVERT_STRING
    matches!(error, Error::Server(said) if [1267, 1270, 1271, 1300, 3854].contains(&said.code))
}
