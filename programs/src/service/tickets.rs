//! The tickets that the monitor has been told of and nobody has shown yet.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::ticket::{Destination, Issued, Number};

/// A front shows a ticket as soon as it has it.
const LIFETIME: Duration = Duration::from_secs(10);

/// Most tickets at once; the oldest goes.
const MOST: usize = 4096;

/// Unused tickets.
#[derive(Default)]
pub(super) struct Tickets {
    unused: HashMap<Number, Unused>,
    /// In the order of their issue.
    order: VecDeque<(Instant, Number)>,
}

struct Unused {
    front: u64,
    to: Destination,
}

impl Tickets {
    /// Notes a ticket that was issued `now`.
    pub(super) fn add(&mut self, issued: Issued, now: Instant) {
        self.forget_old(now);
        if self.order.len() >= MOST {
            self.forget_oldest();
        }
        let Issued { ticket, front, to } = issued;
        self.unused.insert(ticket, Unused { front, to });
        self.order.push_back((now, ticket));
    }

    /// Whether this one was issued and not used.
    pub(super) fn has(&self, ticket: &Number) -> bool {
        self.unused.contains_key(ticket)
    }

    /// Where the ticket leads that `front` shows `now`; it is used up, also if it
    /// was another front's.
    pub(super) fn spend(&mut self, ticket: &Number, front: u64, now: Instant) -> Option<Destination> {
        self.forget_old(now);
        self.unused.remove(ticket).filter(|unused| unused.front == front).map(|unused| unused.to)
    }

    fn forget_old(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(issued, _)| now.saturating_duration_since(*issued) >= LIFETIME)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, ticket)) = self.order.pop_front() {
            self.unused.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LIFETIME, MOST, Tickets};
    use crate::service::ticket::{Destination, Issued, Number, Referral};
    use std::time::{Duration, Instant};

    fn issued(ticket: Number, front: u64) -> Issued {
        Issued { ticket, front, to: to(ticket[0]) }
    }

    fn to(proxy: u8) -> Destination {
        Destination::Proxy(Referral { proxy: proxy.into(), address: vec![proxy] })
    }

    #[test]
    fn a_ticket_is_good_once_at_its_front_and_for_a_while() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        tickets.add(issued([1; 16], 0), now);
        tickets.add(issued([2; 16], 0), now);
        tickets.add(issued([3; 16], 0), now);
        assert_eq!(tickets.spend(&[1; 16], 0, now), Some(to(1)));
        assert!(tickets.spend(&[1; 16], 0, now).is_none());
        assert!(tickets.spend(&[9; 16], 0, now).is_none());
        assert!(tickets.spend(&[2; 16], 1, now).is_none());
        assert!(tickets.spend(&[2; 16], 0, now).is_none());
        let later = now + LIFETIME - Duration::from_millis(1);
        assert!(tickets.spend(&[3; 16], 0, later).is_some());
        tickets.add(issued([4; 16], 0), now);
        assert!(tickets.spend(&[4; 16], 0, now + LIFETIME).is_none());
        assert!(tickets.unused.is_empty() && tickets.order.is_empty());
    }

    #[test]
    fn there_are_never_more_than_a_number_of_them() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        for number in 0..=MOST as u128 {
            tickets.add(issued(number.to_le_bytes(), 0), now);
        }
        assert_eq!(tickets.unused.len(), MOST);
        assert!(tickets.spend(&0u128.to_le_bytes(), 0, now).is_none());
        assert!(tickets.spend(&1u128.to_le_bytes(), 0, now).is_some());
    }
}
