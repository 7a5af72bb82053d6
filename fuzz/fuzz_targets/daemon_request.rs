//! The server's side of authdaemond's socket: the same octets in any pieces
//! are the same questions, and what was understood can be asked again.

#![no_main]

use authlib::protocol::request::{self, Question, Reader, Request};
use libfuzzer_sys::fuzz_target;

fn questions<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Question> {
    let mut reader = Reader::new();
    let mut questions = Vec::new();
    for piece in pieces {
        if reader.push(piece).is_err() {
            break;
        }
        loop {
            match reader.next_question() {
                Ok(Some(question)) => questions.push(question),
                Ok(None) => break,
                Err(_) => return questions,
            }
        }
    }
    questions
}

fn again(Question { client, request, .. }: &Question) -> Option<Vec<u8>> {
    match request {
        Request::Auth(record) => Some(request::auth_with_remembered(record, client).to_vec()),
        Request::Pre { module, service, user } => {
            request::look_up(module.as_deref(), service, user, client).map(|line| line.to_vec())
        }
        Request::Passwd(change) => Some(request::change_password(change).to_vec()),
        Request::Hopeless | Request::Enumerate => None,
    }
}

fuzz_target!(|octets: &[u8]| {
    let at_once = questions(std::iter::once(octets));
    let in_pieces = questions(octets.chunks(7));
    assert_eq!(format!("{at_once:?}"), format!("{in_pieces:?}"));
    for question in &at_once {
        let Some(line) = again(question) else { continue };
        let heard = questions(std::iter::once(line.as_slice()));
        assert_eq!(heard.len(), 1);
        assert_eq!(again(&heard[0]), Some(line));
    }
});
