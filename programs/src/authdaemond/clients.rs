//! Everybody who has connected: who is still asking, who has to wait for some
//! seconds, who waits for a worker, and who is being answered.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use authlib::protocol::request::{Question, Reader};
use zeroize::Zeroizing;

use super::gate::Turn;

/// How long a client may take for its request.
const TO_ASK: Duration = Duration::from_secs(10);
/// How long it waits for a worker: nobody who asks waits longer for an answer.
const TO_BE_SERVED: Duration = Duration::from_secs(30);

/// Names a client for as long as the process lives.
pub(crate) type Id = u64;

/// Somebody who has asked, and hears an answer once.
pub(crate) trait Caller {
    /// Says an answer; an empty one is that it cannot be told.
    fn say(self, octets: &[u8]);
}

/// An answer fits into the buffer of a connection on which nothing was said
/// before, so nobody waits here.
impl Caller for UnixStream {
    fn say(mut self, octets: &[u8]) {
        let _it_has_gone = self.write(octets);
    }
}

/// The clients.
pub(crate) struct Clients<C> {
    all: HashMap<Id, Client<C>>,
    /// Each with the moment at which it joins those who wait for a worker.
    delayed: BTreeSet<(Instant, Id)>,
    waiting: VecDeque<Id>,
}

struct Client<C> {
    caller: C,
    state: State,
    since: Instant,
}

enum State {
    /// Its request is not whole yet.
    Asking(Reader),
    /// Its turn has not come.
    Delayed(Turn),
    /// What a worker will be asked.
    Waiting(Turn),
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

impl<C> Default for Clients<C> {
    fn default() -> Self {
        Clients { all: HashMap::new(), delayed: BTreeSet::new(), waiting: VecDeque::new() }
    }
}

/// Those whose requests come in pieces.
impl Clients<UnixStream> {
    pub(super) fn add(&mut self, id: Id, socket: UnixStream, now: Instant) {
        self.all.insert(id, Client { caller: socket, state: State::Asking(Reader::new()), since: now });
    }

    /// Reads what a client says. Closed afterwards if that is nothing.
    pub(super) fn hear(&mut self, id: Id) -> Heard {
        let Some(Client { caller: socket, state: State::Asking(reader), .. }) = self.all.get_mut(&id) else {
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

    /// Gives a client's connection away.
    pub(super) fn release(&mut self, id: Id) -> Option<UnixStream> {
        self.all.remove(&id).map(|client| client.caller)
    }

    /// A client's connection.
    pub(super) fn socket(&self, id: Id) -> Option<impl AsFd + '_> {
        self.all.get(&id).map(|client| client.caller.as_fd())
    }

    /// Closes the one that has been asking for the longest time, so that
    /// another one finds room; whether there was one.
    pub(super) fn evict(&mut self) -> bool {
        let asking = self.all.iter().filter(|(_, client)| matches!(client.state, State::Asking(_)));
        let slowest = asking.min_by_key(|(_, client)| client.since).map(|(id, _)| *id);
        slowest.is_some_and(|id| self.all.remove(&id).is_some())
    }
}

impl<C: Caller> Clients<C> {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds somebody who has asked already, and waits for his turn.
    pub(crate) fn add_asked(&mut self, id: Id, caller: C, now: Instant) {
        self.all.insert(id, Client { caller, state: State::Served, since: now });
    }

    /// Puts a client in the queue, with what a worker is to be asked.
    pub(crate) fn enqueue(&mut self, id: Id, turn: Turn, now: Instant) {
        if let Some(client) = self.all.get_mut(&id) {
            (client.state, client.since) = (State::Waiting(turn), now);
            self.waiting.push_back(id);
        }
    }

    /// Puts a client in the queue when it is time.
    pub(crate) fn delay(&mut self, id: Id, turn: Turn, time: Instant) {
        if let Some(client) = self.all.get_mut(&id) {
            client.state = State::Delayed(turn);
            self.delayed.insert((time, id));
        }
    }

    /// How many will be put in the queue later, with those who have left
    /// meanwhile.
    pub(crate) fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Puts those in the queue whose time has come.
    pub(crate) fn end_delays(&mut self, now: Instant) {
        while let Some(&(time, id)) = self.delayed.first()
            && time <= now
        {
            self.delayed.pop_first();
            let Some(client) = self.all.get_mut(&id) else { continue };
            match std::mem::replace(&mut client.state, State::Served) {
                State::Delayed(turn) => self.enqueue(id, turn, now),
                other => client.state = other,
            }
        }
    }

    /// Whether somebody waits for a worker.
    pub(crate) fn somebody_waits(&mut self) -> bool {
        // Those who have left are taken out when it is their turn.
        while self.waiting.front().is_some_and(|id| !self.all.contains_key(id)) {
            self.waiting.pop_front();
        }
        !self.waiting.is_empty()
    }

    /// The next in the queue, and what a worker is to be asked.
    pub(crate) fn next(&mut self) -> Option<(Id, Turn)> {
        while let Some(id) = self.waiting.pop_front() {
            let Some(client) = self.all.get_mut(&id) else { continue };
            if let State::Waiting(turn) = std::mem::replace(&mut client.state, State::Served) {
                return Some((id, turn));
            }
        }
        None
    }

    /// Says `octets` to a client and closes.
    pub(crate) fn answer(&mut self, id: Id, octets: &[u8]) {
        if let Some(client) = self.all.remove(&id) {
            client.caller.say(octets);
        }
    }

    /// Closes without an answer.
    pub(crate) fn close(&mut self, id: Id) {
        self.answer(id, b"");
    }

    /// Closes all that have taken or waited too long.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let late = |client: &Client<C>| {
            let patience = match client.state {
                State::Asking(_) => TO_ASK,
                State::Waiting(_) => TO_BE_SERVED,
                // Both end in a time of their own.
                State::Delayed(_) | State::Served => return false,
            };
            now.saturating_duration_since(client.since) >= patience
        };
        let late: Vec<Id> = self.all.iter().filter(|(_, client)| late(client)).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|id| self.close(id));
    }
}

/// Whether there is only nothing to read or write at the moment.
pub(super) fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::super::gate::Turn;
    use super::{Clients, Heard, TO_ASK, TO_BE_SERVED};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};
    use zeroize::Zeroizing;

    fn turn() -> Turn {
        Turn { request: Zeroizing::new(vec![]), login: None }
    }

    fn client(clients: &mut Clients<UnixStream>, id: u64, now: Instant) -> UnixStream {
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
        (1..=3).for_each(|id| clients.enqueue(id, turn(), now));
        clients.close(1);
        assert!(clients.somebody_waits());
        let order: Vec<_> = std::iter::from_fn(|| clients.next()).map(|(id, _)| id).collect();
        assert_eq!(order, [2, 3]);
        assert!(!clients.somebody_waits());
    }

    #[test]
    fn who_has_to_wait_joins_the_queue_when_it_is_time() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        let _others: Vec<_> = (1..=4).map(|id| client(&mut clients, id, now)).collect();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (id, seconds) in [(1, 9), (2, 3), (3, 5)] {
            clients.delay(id, turn(), after(seconds));
        }
        clients.enqueue(4, turn(), now);
        clients.close(3);
        clients.sweep(after(3600));
        assert_eq!(clients.delayed(), 3);
        let mut order = Vec::new();
        for seconds in [0, 2, 3, 8, 9] {
            clients.end_delays(after(seconds));
            order.extend(std::iter::from_fn(|| clients.next()).map(|(id, _)| (seconds, id)));
        }
        assert_eq!(order, [(3, 2), (9, 1)]);
        assert_eq!(clients.delayed(), 0);
    }

    #[test]
    fn nobody_asks_or_waits_for_ever_and_the_slowest_makes_room() {
        let (mut clients, start) = (Clients::default(), Instant::now());
        let _others: Vec<_> =
            (1..=3).map(|id| client(&mut clients, id, start + Duration::from_secs(id))).collect();
        clients.enqueue(1, turn(), start);
        assert!(clients.evict());
        clients.sweep(start + TO_ASK + Duration::from_secs(2));
        assert_eq!(clients.len(), 2);
        clients.sweep(start + TO_BE_SERVED);
        assert_eq!(clients.len(), 0);
        assert!(!clients.evict());
    }
}
