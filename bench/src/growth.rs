//! What the figures of a run say for many accounts: docs/growth.md. Everything
//! here is computed from what was measured and from [`Habits`], which are
//! assumptions and stand on the page as such.

use crate::figures::Outcome;
use crate::places::Who;
use crate::run::Measured;

/// What accounts do, and what a machine is.
struct Habits {
    accounts: f64,
    /// Seconds between two polls of an account, on average, and how much more
    /// often in the busiest hour.
    between: f64,
    peak: f64,
    /// New messages for an account in a day, and octets of each.
    messages: f64,
    octets: f64,
    /// Share of accounts that keep a session, saying nothing.
    idle: f64,
    /// Messages in a maildrop.
    kept: f64,
    /// Of a machine: cores, how much of them may be busy, octets of memory.
    cores: f64,
    busy: f64,
    memory: f64,
}

const HABITS: Habits = Habits {
    accounts: 10_000_000.0,
    between: 600.0,
    peak: 2.0,
    messages: 30.0,
    octets: 75_000.0,
    idle: 0.05,
    kept: 500.0,
    cores: 64.0,
    busy: 0.5,
    memory: 256e9,
};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// The service's figures from which all else is computed.
struct Costs {
    /// Seconds of processor time: a session in clear, one over TLS, a hash, an
    /// octet sent.
    session: f64,
    session_tls: f64,
    hash: f64,
    octet: f64,
    /// Octets of memory: an idle session over TLS, a known message.
    idle: f64,
    known: f64,
}

/// The page, if everything that it needs was measured.
pub(crate) fn page(results: &[Measured]) -> Option<String> {
    let of = |name: &str| -> Option<&Outcome> {
        results.iter().find(|(scenario, _)| scenario.name == name)?.1.get(&Who::Service)
    };
    let costs = Costs {
        session: of("short")?.cpu()? / 1e6,
        session_tls: of("short-tls")?.cpu()? / 1e6,
        hash: of("yescrypt")?.also_of("the hash")? / 1e3,
        octet: of("retr-10m-tls")?.cpu()? / 1e9,
        idle: of("idle-tls")?.value()? * 1e3,
        known: of("known")?.value()?,
    };
    Some(format!("{}\n{}\n{}", by_number(&of), reached(results), costs.many(&HABITS)))
}

/// What one of each costs.
fn by_number<'r>(of: &impl Fn(&str) -> Option<&'r Outcome>) -> String {
    let value = |name: &str| of(name).and_then(Outcome::value).map_or("—".to_owned(), shown);
    let cpu = |name: &str| of(name).and_then(Outcome::cpu).map_or("—".to_owned(), shown);
    let kilobytes =
        |name: &str| of(name).and_then(Outcome::value).map_or("—".to_owned(), |kb| shown(kb * 1e3));
    let rows = [
        (
            "short session: login, STAT, QUIT",
            cpu("short"),
            value("calls"),
            value("allocations"),
            "—".to_owned(),
        ),
        (
            "the same over TLS, full handshake",
            cpu("short-tls"),
            "—".to_owned(),
            "—".to_owned(),
            "—".to_owned(),
        ),
        ("session that says nothing", "0".to_owned(), "0".to_owned(), "0".to_owned(), kilobytes("idle")),
        ("the same over TLS", "0".to_owned(), "0".to_owned(), "0".to_owned(), kilobytes("idle-tls")),
        (
            "message of 4 kB fetched",
            cpu("retr-4k"),
            value("calls-retr"),
            value("allocations-retr"),
            "—".to_owned(),
        ),
        ("message that is known", "0".to_owned(), "0".to_owned(), "0".to_owned(), value("known")),
    ];
    let mut text =
        "| one of them costs | processor, µs | system calls | allocations | memory that stays, octets |\n\
                    |---|---|---|---|---|\n"
            .to_owned();
    for (what, cpu, calls, allocations, memory) in rows {
        text.push_str(&format!("| {what} | {cpu} | {calls} | {allocations} | {memory} |\n"));
    }
    text
}

/// How far the curves went.
fn reached(results: &[Measured]) -> String {
    let mut text = String::new();
    for (scenario, row) in results.iter().filter(|(scenario, _)| scenario.curve.is_some()) {
        let value = row.get(&Who::Service).and_then(Outcome::value);
        let value = value.map_or("not measured".to_owned(), |value| scenario.unit.show(value));
        text.push_str(&format!("* {}: {value}\n", scenario.title));
    }
    text
}

impl Costs {
    /// What many accounts need, line by line with how it was computed.
    fn many(&self, habits: &Habits) -> String {
        let logins = habits.accounts / habits.between * habits.peak;
        let octets = habits.accounts * habits.messages * habits.octets / DAY * habits.peak;
        let (sessions, handshakes) =
            (logins * self.session, logins * (self.session_tls - self.session).max(0.0));
        let (hashes, sending) = (logins * self.hash, octets * self.octet);
        let machines = |cores: f64| whole((cores / habits.cores / habits.busy).ceil());
        let idle = habits.accounts * habits.idle * self.idle;
        let known = habits.accounts * habits.kept * self.known;
        let (without, with) = (sessions + handshakes + sending, sessions + handshakes + sending + hashes);
        let by_memory = whole(((idle + known) / habits.memory).ceil());
        let rows = [
            (
                "logins in the busiest hour",
                per_second(logins),
                "accounts ÷ time between polls × peak".to_owned(),
            ),
            (
                "mail fetched in that hour",
                format!("{} MB/s", shown(octets / 1e6)),
                "accounts × messages × octets ÷ day × peak".to_owned(),
            ),
            ("cores for sessions", shown(sessions), format!("logins × {} µs", shown(self.session * 1e6))),
            (
                "cores for TLS, if each makes a full handshake",
                shown(handshakes),
                format!("logins × {} µs more", shown((self.session_tls - self.session) * 1e6)),
            ),
            (
                "cores for mail inside TLS",
                shown(sending),
                format!("octets × {} s/GB", shown(self.octet * 1e9)),
            ),
            (
                "cores for yescrypt at each login",
                shown(hashes),
                format!("logins × {} ms", shown(self.hash * 1e3)),
            ),
            (
                "memory of sessions that say nothing",
                gigabytes(idle),
                format!("accounts × {} × {} octets", habits.idle, shown(self.idle)),
            ),
            (
                "memory to know every maildrop at once",
                gigabytes(known),
                format!("accounts × {} × {} octets", habits.kept, shown(self.known)),
            ),
            (
                "machines by processor, without the hash",
                machines(without),
                format!("cores ÷ {} ÷ {}", habits.cores, habits.busy),
            ),
            ("machines by processor, with it", machines(with), "the same".to_owned()),
            ("machines by memory", by_memory, format!("memory ÷ {}", gigabytes(habits.memory))),
        ];
        let mut text = format!(
            "Assumed: {} accounts; each polls every {} s, {} × as often in the busiest hour, and gets {} messages of \
             {} octets a day, fetched over TLS; {} % of them keep a session that says nothing; a maildrop has {} \
             messages; a machine has {} cores like these, half of them to be used, and {} of memory.\n\n\
             | what | how much | computed as |\n|---|---|---|\n",
            whole(habits.accounts),
            habits.between,
            habits.peak,
            habits.messages,
            whole(habits.octets),
            habits.idle * 100.0,
            habits.kept,
            habits.cores,
            gigabytes(habits.memory),
        );
        for (what, how_much, computed) in rows {
            text.push_str(&format!("| {what} | {how_much} | {computed} |\n"));
        }
        text
    }
}

fn shown(value: f64) -> String {
    crate::figures::number(value)
}

/// A number of things.
fn whole(value: f64) -> String {
    let shown = shown(value);
    shown.split_once('.').map_or(shown.clone(), |(whole, _)| whole.to_owned())
}

fn per_second(value: f64) -> String {
    format!("{}/s", shown(value.round()))
}

fn gigabytes(octets: f64) -> String {
    format!("{} GB", shown(octets / 1e9))
}

#[cfg(test)]
mod tests {
    use super::{Costs, HABITS};

    #[test]
    fn ten_million_accounts_are_as_many_times_one() {
        let costs =
            Costs { session: 2e-4, session_tls: 6e-4, hash: 2e-2, octet: 1e-9, idle: 1e4, known: 100.0 };
        let page = costs.many(&HABITS);
        assert!(page.contains("| logins in the busiest hour | 33,333/s |"), "{page}");
        assert!(page.contains("| cores for sessions | 6.67 |"), "{page}");
        assert!(page.contains("| memory of sessions that say nothing | 5.00 GB |"), "{page}");
        assert!(page.contains("| machines by processor, with it | 22 |"), "{page}");
    }
}
