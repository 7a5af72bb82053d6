//! What processes say to each other, for the fuzz target of it: the types are
//! nobody's outside.

use super::dismissal::Dismissal;
use super::errand::{Errand, Outcome, Visitor};
use super::guest::{self, Guest};
use super::order::Order;
use super::question::{Answer, Question};
use super::report::Report;
use super::ticket::{Issued, Refusal, Shown};
use super::wire::Received;

/// Reads `message` as everybody does who may get it. What is understood says
/// the same when it is written again.
///
/// # Panics
/// It does not.
pub fn read(message: &[u8]) {
    if let Ok(guest) = Guest::decode(message) {
        assert_eq!(Guest::decode(&guest.encode()), Ok(guest));
    }
    if let Ok(number) = guest::decode_ended(message) {
        assert_eq!(guest::ended(number).as_slice(), message);
    }
    if let Ok(issued) = Issued::decode(message) {
        assert_eq!(Issued::decode(&issued.encode()), Ok(issued));
    }
    if let Ok(shown) = Shown::decode(message) {
        assert_eq!(Shown::decode(&shown.encode()), Ok(shown));
    }
    if let Ok((origin, refusal)) = Refusal::decode(message) {
        assert_eq!(refusal.encode(&origin).as_slice(), message);
    }
    if let Ok(question) = Question::decode(message) {
        assert!(question.encode().as_slice() == message);
    }
    if let Ok((connection, answer)) = Answer::decode(message) {
        assert_eq!(Answer::decode(&answer.encode(connection)), Ok((connection, answer)));
    }
    if let Some(dismissal) = Dismissal::decode(message) {
        assert_eq!(dismissal.encode().as_slice(), message);
    }
    if let Ok(errand) = Errand::decode(message) {
        assert!(errand.encode().as_slice() == message);
    }
    if let Ok((number, outcome)) = Outcome::decode(message) {
        assert_eq!(outcome.encode(&number).as_slice(), message);
    }
    if let Ok(visitor) = Visitor::decode(message) {
        assert_eq!(Visitor::decode(&visitor.encode()), Ok(visitor));
    }
    let _report = Report::decode(message);
    let received = Received { message: message.to_vec().into(), descriptor: None };
    let _order = Order::decode(received);
}
