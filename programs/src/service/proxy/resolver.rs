//! Addresses of back-ends. A process of its own looks names up ([`names`]);
//! whoever wants the same name meanwhile waits for the same answer, and it is
//! remembered for a moment.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::names::{self, Addresses};
use crate::log;
use crate::service::wire::Wire;

/// Most names that wait for an answer.
const MOST_WAITING: usize = 256;
/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Has names looked up.
pub(super) struct Resolver {
    wire: Wire,
    /// Who waits for each name.
    waiting: HashMap<String, Vec<u64>>,
    remembered: HashMap<String, (Instant, Vec<IpAddr>)>,
}

impl Resolver {
    /// By whoever is at the other end of `wire`.
    pub(super) fn new(wire: Wire) -> Resolver {
        Resolver { wire, waiting: HashMap::new(), remembered: HashMap::new() }
    }

    /// The addresses of `host`, if they are known; else `asker` is named with
    /// them by [`answered`](Resolver::answered).
    ///
    /// # Errors
    /// Nobody can be asked.
    pub(super) fn ask(
        &mut self,
        host: &str,
        asker: u64,
        now: Instant,
    ) -> Result<Option<Vec<IpAddr>>, String> {
        if let Some(address) = names::literal(host) {
            return Ok(Some(vec![address]));
        }
        if let Some((until, addresses)) = self.remembered.get(host)
            && now < *until
        {
            return Ok(Some(addresses.clone()));
        }
        if let Some(others) = self.waiting.get_mut(host) {
            others.push(asker);
            return Ok(None);
        }
        if self.waiting.len() >= MOST_WAITING || !matches!(self.wire.send(host.as_bytes(), None), Ok(true)) {
            return Err("names cannot be looked up now".to_owned());
        }
        self.waiting.insert(host.to_owned(), vec![asker]);
        Ok(None)
    }

    /// The answers that have come, each with those who wait for it; `None` if
    /// none will come any more.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Vec<(Vec<u64>, Addresses)>> {
        self.remembered.retain(|_, (until, _)| now < *until);
        let mut told = Vec::new();
        while let Some(received) = self.wire.receive().ok()? {
            let Ok((host, addresses)) = names::decode(&received.message) else {
                log::error(&"who looks names up talks nonsense");
                continue;
            };
            let waiting = self.waiting.remove(&host).unwrap_or_default();
            if let Ok(addresses) = &addresses {
                self.remembered.insert(host, (now + REMEMBERED, addresses.clone()));
            }
            told.push((waiting, addresses));
        }
        Some(told)
    }
}

impl AsFd for Resolver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Resolver;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::time::Instant;

    fn resolver() -> Resolver {
        let (ours, theirs) = crate::service::wire::Wire::pair().unwrap();
        crate::service::proxy::names::serve(theirs);
        Resolver::new(ours)
    }

    #[test]
    fn an_address_needs_no_thread() {
        let mut resolver = resolver();
        let now = Instant::now();
        for (host, address) in [("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("[::1]", "::1")] {
            assert_eq!(resolver.ask(host, 1, now), Ok(Some(vec![address.parse().unwrap()])));
        }
    }

    #[test]
    fn whoever_wants_the_same_name_gets_the_same_answer() {
        let mut resolver = resolver();
        let now = Instant::now();
        assert_eq!(resolver.ask("localhost", 1, now), Ok(None));
        assert_eq!(resolver.ask("localhost", 2, now), Ok(None));
        poll(&mut [PollFd::new(&resolver, PollFlags::IN)], None).unwrap();
        let answers = resolver.answered(now).unwrap();
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].0, [1, 2]);
        let addresses = answers[0].1.clone().unwrap();
        assert!(addresses.iter().all(|address| address.is_loopback()) && !addresses.is_empty());
        assert_eq!(resolver.ask("localhost", 3, now), Ok(Some(addresses)));
    }

    #[test]
    fn a_name_that_nobody_has_has_no_address() {
        let mut resolver = resolver();
        assert_eq!(resolver.ask("no such host", 1, Instant::now()), Ok(None));
        poll(&mut [PollFd::new(&resolver, PollFlags::IN)], None).unwrap();
        assert!(matches!(&resolver.answered(Instant::now()).unwrap()[..], [(who, Err(_))] if *who == [1]));
    }
}
