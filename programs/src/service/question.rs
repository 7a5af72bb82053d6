//! What a front asks auth, and what it hears.

use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};
use super::guest::Origin;
use super::ticket::Number;

/// A front asks whether credentials are good, or for a salt: a request in
/// authdaemond's language (reference: authlib 3.2).
pub(crate) struct Question {
    /// Names the connection at this front.
    pub(crate) connection: u64,
    /// Where the client is.
    pub(crate) origin: Origin,
    /// Whether it has said UTF8.
    pub(crate) utf8: bool,
    /// The request. It holds a secret.
    pub(crate) request: Zeroizing<Vec<u8>>,
}

/// What auth says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The credentials are good; whose they are the monitor knows.
    Accepted {
        /// For the monitor.
        ticket: Number,
        /// What a client of SCRAM is to hear before.
        signature: Option<Vec<u8>>,
    },
    /// The credentials are not good.
    Rejected,
    /// Nobody can tell.
    Unavailable,
    /// The salt that was asked for, as RFC 5802 writes it, if there can be one.
    Salt(Option<Vec<u8>>),
}

const QUESTION: u8 = b'Q';
const ACCEPTED: u8 = b'+';
const REJECTED: u8 = b'-';
const UNAVAILABLE: u8 = b'?';
const SALT: u8 = b's';

impl Question {
    /// The message.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let fields = Writer::new(QUESTION).number(self.connection);
        self.origin.write(fields).number(u64::from(self.utf8)).octets(&self.request).message()
    }

    /// What `message` says.
    pub(super) fn decode(message: &[u8]) -> Result<Question, Malformed> {
        let (QUESTION, mut fields) = Reader::new(message)? else { return Err(Malformed) };
        let connection = fields.number()?;
        let (origin, utf8) = (Origin::read(&mut fields)?, fields.flag()?);
        let request = Zeroizing::new(fields.octets()?.to_vec());
        fields.end()?;
        Ok(Question { connection, origin, utf8, request })
    }
}

impl Answer {
    /// The message about the front's connection `connection`.
    pub(super) fn encode(&self, connection: u64) -> Zeroizing<Vec<u8>> {
        let kind = |kind| Writer::new(kind).number(connection);
        match self {
            Answer::Accepted { ticket, signature } => {
                kind(ACCEPTED).octets(ticket).optional(signature.as_deref()).message()
            }
            Answer::Rejected => kind(REJECTED).message(),
            Answer::Unavailable => kind(UNAVAILABLE).message(),
            Answer::Salt(salt) => kind(SALT).optional(salt.as_deref()).message(),
        }
    }

    /// About which connection `message` is, and what it says.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn decode(message: &[u8]) -> Result<(u64, Answer), Malformed> {
        let (kind, mut fields) = Reader::new(message)?;
        let connection = fields.number()?;
        let answer = match kind {
            ACCEPTED => {
                let ticket = fields.octets()?.try_into().map_err(|_| Malformed)?;
                Answer::Accepted { ticket, signature: fields.optional()?.map(<[u8]>::to_vec) }
            }
            REJECTED => Answer::Rejected,
            UNAVAILABLE => Answer::Unavailable,
            SALT => Answer::Salt(fields.optional()?.map(<[u8]>::to_vec)),
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok((connection, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Origin, Question};
    use zeroize::Zeroizing;

    #[test]
    fn messages_arrive_as_they_left() {
        let origin = Origin { ip: "::1".into(), port: "1".into(), tls: true };
        let request = Zeroizing::new(b"AUTH 3\nx\ny".to_vec());
        let question = Question { connection: 5, origin, utf8: true, request };
        let again = Question::decode(&question.encode()).unwrap();
        assert_eq!((again.connection, &again.request, again.utf8), (5, &question.request, true));
        assert_eq!(again.origin, question.origin);
        for answer in [
            Answer::Accepted { ticket: [3; 16], signature: None },
            Answer::Accepted { ticket: [3; 16], signature: Some(vec![1, 2]) },
            Answer::Rejected,
            Answer::Unavailable,
            Answer::Salt(None),
            Answer::Salt(Some(b"s=,i=".to_vec())),
        ] {
            assert_eq!(Answer::decode(&answer.encode(8)), Ok((8, answer)));
        }
        assert!(Answer::decode(b"x").is_err() && Answer::decode(&question.encode()).is_err());
    }
}
