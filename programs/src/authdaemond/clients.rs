//! Everybody who has connected: who is still asking, who waits for a worker,
//! and who is being answered.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use authlib::protocol::request::{Question, Reader};
use zeroize::Zeroizing;

/// How long a client may take for its request.
const TO_ASK: Duration = Duration::from_secs(10);
/// How long it waits for a worker: nobody who asks waits longer for an answer.
const TO_BE_SERVED: Duration = Duration::from_secs(30);

/// Names a client for as long as the process lives.
pub(super) type Id = u64;

/// The clients.
#[derive(Default)]
pub(super) struct Clients {
    all: HashMap<Id, Client>,
    waiting: VecDeque<Id>,
}

struct Client {
    socket: UnixStream,
    state: State,
    since: Instant,
}

enum State {
    /// Its request is not whole yet.
    Asking(Reader),
    /// Its request, as a worker will read it.
    Waiting(Zeroizing<Vec<u8>>),
    /// A worker has its request.
    Served,
}

/// What a client has said.
pub(super) enum Heard {
    /// Not all yet.
    Part,
    /// All that it may.
    Question(Question),
    /// It has gone, or nobody can understand it.
    Nothing,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn add(&mut self, id: Id, socket: UnixStream, now: Instant) {
        self.all.insert(id, Client { socket, state: State::Asking(Reader::new()), since: now });
    }

    /// Reads what a client says. Closed afterwards if that is nothing.
    pub(super) fn hear(&mut self, id: Id) -> Heard {
        let Some(Client { socket, state: State::Asking(reader), .. }) = self.all.get_mut(&id) else {
            // Nothing is to be heard from others than that they have gone.
            self.close(id);
            return Heard::Nothing;
        };
        let mut buffer = Zeroizing::new([0; 4096]);
        let heard = match socket.read(&mut buffer[..]) {
            Ok(0) => Heard::Nothing,
            Ok(octets) => match reader.push(&buffer[..octets]).and_then(|()| reader.next_question()) {
                Ok(Some(question)) => Heard::Question(question),
                Ok(None) => Heard::Part,
                Err(_) => Heard::Nothing,
            },
            Err(error) if is_for_now(&error) => Heard::Part,
            Err(_) => Heard::Nothing,
        };
        if matches!(heard, Heard::Nothing) {
            self.close(id);
        }
        heard
    }

    /// Puts a client in the queue, with what a worker is to read.
    pub(super) fn enqueue(&mut self, id: Id, request: Zeroizing<Vec<u8>>, now: Instant) {
        if let Some(client) = self.all.get_mut(&id) {
            (client.state, client.since) = (State::Waiting(request), now);
            self.waiting.push_back(id);
        }
    }

    /// Whether somebody waits for a worker.
    pub(super) fn somebody_waits(&mut self) -> bool {
        // Those who have left are taken out when it is their turn.
        while self.waiting.front().is_some_and(|id| !self.all.contains_key(id)) {
            self.waiting.pop_front();
        }
        !self.waiting.is_empty()
    }

    /// The next in the queue, and its request.
    pub(super) fn next(&mut self) -> Option<(Id, Zeroizing<Vec<u8>>)> {
        while let Some(id) = self.waiting.pop_front() {
            let Some(client) = self.all.get_mut(&id) else { continue };
            if let State::Waiting(request) = std::mem::replace(&mut client.state, State::Served) {
                return Some((id, request));
            }
        }
        None
    }

    /// Says `octets` to a client and closes. An answer fits into the buffer of
    /// a connection on which nothing was said before, so nobody waits here.
    pub(super) fn answer(&mut self, id: Id, octets: &[u8]) {
        if let Some(mut client) = self.all.remove(&id) {
            let _it_has_gone = client.socket.write(octets);
        }
    }

    /// Closes without a word.
    pub(super) fn close(&mut self, id: Id) {
        self.all.remove(&id);
    }

    /// Gives a client's connection away.
    pub(super) fn release(&mut self, id: Id) -> Option<UnixStream> {
        self.all.remove(&id).map(|client| client.socket)
    }

    /// A client's connection.
    pub(super) fn socket(&self, id: Id) -> Option<impl AsFd + '_> {
        self.all.get(&id).map(|client| client.socket.as_fd())
    }

    /// Closes all that have taken or waited too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.all.retain(|_, client| {
            let patience = match client.state {
                State::Asking(_) => TO_ASK,
                State::Waiting(_) => TO_BE_SERVED,
                State::Served => return true,
            };
            now.saturating_duration_since(client.since) < patience
        });
    }

    /// Closes the one that has been asking for the longest time, so that
    /// another one finds room; whether there was one.
    pub(super) fn evict(&mut self) -> bool {
        let asking = self.all.iter().filter(|(_, client)| matches!(client.state, State::Asking(_)));
        let slowest = asking.min_by_key(|(_, client)| client.since).map(|(id, _)| *id);
        slowest.is_some_and(|id| self.all.remove(&id).is_some())
    }
}

/// Whether there is only nothing to read or write at the moment.
pub(super) fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::{Clients, Heard, TO_ASK, TO_BE_SERVED};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};
    use zeroize::Zeroizing;

    fn client(clients: &mut Clients, id: u64, now: Instant) -> UnixStream {
        let (theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        clients.add(id, ours, now);
        theirs
    }

    #[test]
    fn a_question_in_pieces_is_heard_and_answered() {
        let mut clients = Clients::default();
        let mut alice = client(&mut clients, 1, Instant::now());
        assert!(matches!(clients.hear(1), Heard::Part));
        alice.write_all(b"PRE . pop3 ").unwrap();
        assert!(matches!(clients.hear(1), Heard::Part));
        alice.write_all(b"alice\n").unwrap();
        assert!(matches!(clients.hear(1), Heard::Question(_)));
        clients.answer(1, b"FAIL\n");
        let mut answer = String::new();
        alice.read_to_string(&mut answer).unwrap();
        assert_eq!((answer.as_str(), clients.len()), ("FAIL\n", 0));
    }

    #[test]
    fn who_leaves_or_cannot_be_understood_is_closed() {
        let mut clients = Clients::default();
        let mut odd = client(&mut clients, 1, Instant::now());
        drop(client(&mut clients, 2, Instant::now()));
        odd.write_all(b"HELO\n").unwrap();
        assert!(matches!((clients.hear(1), clients.hear(2)), (Heard::Nothing, Heard::Nothing)));
        assert_eq!(clients.len(), 0);
    }

    #[test]
    fn the_queue_keeps_its_order_and_forgets_who_has_left() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        let _others: Vec<_> = (1..=3).map(|id| client(&mut clients, id, now)).collect();
        (1..=3).for_each(|id| clients.enqueue(id, Zeroizing::new(vec![]), now));
        clients.close(1);
        assert!(clients.somebody_waits());
        let order: Vec<_> = std::iter::from_fn(|| clients.next()).map(|(id, _)| id).collect();
        assert_eq!(order, [2, 3]);
        assert!(!clients.somebody_waits());
    }

    #[test]
    fn nobody_asks_or_waits_for_ever_and_the_slowest_makes_room() {
        let (mut clients, start) = (Clients::default(), Instant::now());
        let _others: Vec<_> =
            (1..=3).map(|id| client(&mut clients, id, start + Duration::from_secs(id))).collect();
        clients.enqueue(1, Zeroizing::new(vec![]), start);
        assert!(clients.evict());
        clients.sweep(start + TO_ASK + Duration::from_secs(2));
        assert_eq!(clients.len(), 2);
        clients.sweep(start + TO_BE_SERVED);
        assert_eq!(clients.len(), 0);
        assert!(!clients.evict());
    }
}
