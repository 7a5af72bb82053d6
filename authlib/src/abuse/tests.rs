use super::*;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A guard, and a clock that goes only when it is told to.
struct Stage {
    guard: Guard,
    now: Instant,
    passwords: u64,
}

impl Stage {
    fn new() -> Self {
        Stage::with_entries(1 << 10)
    }

    fn with_entries(entries: usize) -> Self {
        let now = Instant::now();
        Stage { guard: Guard::with_entries(entries, Settings::default(), [7; 64], now), now, passwords: 0 }
    }

    fn attempt(&self, address: &str, user: &str, password: &str) -> Attempt {
        let address = Some(address.parse().unwrap());
        self.guard.attempt(address, user.as_bytes(), Some(password.as_bytes())).unwrap()
    }

    fn judge(&self, address: &str, user: &str) -> Judgement {
        self.guard.judge(&self.attempt(address, user, ""), self.now)
    }

    /// A failure with a password that was not tried before.
    fn fail(&mut self, address: &str, user: &str) -> Option<Duration> {
        self.passwords += 1;
        let attempt = self.attempt(address, user, &self.passwords.to_string());
        self.guard.failed(&attempt, self.now)
    }

    fn fail_often(&mut self, times: u32, address: &str, user: &str) {
        for _ in 0..times {
            let _ = self.fail(address, user);
        }
    }

    fn succeed(&mut self, address: &str, user: &str) {
        let attempt = self.attempt(address, user, "right");
        self.guard.succeeded(&attempt, self.now);
    }
}

fn seconds(seconds: u64) -> Judgement {
    Judgement::Wait(Duration::from_secs(seconds))
}

#[test]
fn the_wait_grows_up_to_the_limit_and_then_an_address_is_refused() {
    let mut stage = Stage::new();
    let mut judged = Vec::new();
    for _ in 0..19 {
        judged.push(stage.judge("192.0.2.1", "alice"));
        assert_eq!(stage.fail("192.0.2.1", "alice"), None);
    }
    assert_eq!(judged[..4], [Judgement::Go; 4]);
    assert_eq!(judged[4..8], [1, 2, 4, 8].map(seconds));
    assert!(judged[8..].iter().all(|judgement| *judgement == seconds(15)));
    assert_eq!(stage.fail("192.0.2.1", "alice"), Some(MINUTE));
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Refuse(MINUTE));
    assert_eq!(stage.judge("192.0.2.2", "bob"), Judgement::Go);
}

#[test]
fn failures_are_forgiven_one_by_one() {
    let mut stage = Stage::new();
    stage.fail_often(1000, "192.0.2.1", "alice");
    stage.now += MINUTE - Duration::from_millis(1);
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Refuse(Duration::from_millis(1)));
    stage.now += Duration::from_millis(1);
    assert_eq!(stage.judge("192.0.2.1", "bob"), seconds(15));
    stage.now += 15 * MINUTE;
    assert_eq!(stage.judge("192.0.2.1", "bob"), seconds(1));
    stage.now += MINUTE;
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Go);
}

#[test]
fn an_account_is_slowed_down_but_never_refused() {
    let mut stage = Stage::new();
    for number in 0..1000 {
        let address = format!("198.51.{}.{}", number / 200, number % 200);
        stage.fail(&address, "alice");
    }
    assert_eq!(stage.judge("192.0.2.1", "alice"), seconds(15));
    assert_eq!(stage.judge("192.0.2.1", "ALICE "), seconds(15));
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Go);
    stage.now += 20 * MINUTE;
    assert_eq!(stage.judge("192.0.2.1", "alice"), Judgement::Go);
}

#[test]
fn who_gives_no_name_is_nobodys_account() {
    let mut stage = Stage::new();
    for number in 0..1000 {
        stage.fail(&format!("198.51.{}.{}", number / 200, number % 200), "");
    }
    assert_eq!(stage.judge("192.0.2.1", ""), Judgement::Go);
}

#[test]
fn who_logged_in_from_an_address_lately_is_not_slowed_by_others() {
    let mut stage = Stage::new();
    stage.succeed("192.0.2.1", "alice");
    stage.fail_often(500, "198.51.100.1", "alice");
    stage.fail_often(500, "192.0.2.1", "bob");
    assert_eq!(stage.judge("192.0.2.1", "alice"), Judgement::Go);
    assert!(matches!(stage.judge("192.0.2.1", "carol"), Judgement::Refuse(_)));
    stage.now += 7 * DAY - MINUTE;
    stage.fail_often(500, "192.0.2.1", "bob");
    assert_eq!(stage.judge("192.0.2.1", "alice"), Judgement::Go);
    stage.now += 2 * MINUTE;
    stage.fail_often(500, "192.0.2.1", "bob");
    assert!(matches!(stage.judge("192.0.2.1", "alice"), Judgement::Refuse(_)));
}

#[test]
fn guessing_where_the_user_is_known_has_a_limit_too() {
    let mut stage = Stage::new();
    stage.succeed("192.0.2.1", "alice");
    stage.fail_often(20, "192.0.2.1", "alice");
    assert_eq!(stage.judge("192.0.2.1", "alice"), Judgement::Refuse(MINUTE));
    stage.now += MINUTE;
    assert_eq!(stage.judge("192.0.2.1", "alice"), seconds(15));
}

#[test]
fn a_good_login_takes_back_its_own_failures_and_no_others() {
    let mut stage = Stage::new();
    stage.fail_often(10, "192.0.2.1", "alice");
    stage.succeed("192.0.2.1", "alice");
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Go);
    assert_eq!(stage.judge("198.51.100.1", "alice"), Judgement::Go);
    // Somebody with an account of his own tries others'.
    for number in 0..20 {
        stage.fail("192.0.2.1", &format!("user{number}"));
        stage.succeed("192.0.2.1", "alice");
    }
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Refuse(MINUTE));
}

#[test]
fn the_same_wrong_password_counts_once_a_day() {
    let mut stage = Stage::new();
    let old = stage.attempt("192.0.2.1", "alice", "last year's");
    for _ in 0..300 {
        assert_eq!(stage.guard.failed(&old, stage.now), None);
        stage.now += 5 * MINUTE;
        assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Go);
    }
    // A proof is another one each time, so it always counts.
    let proof = stage.guard.attempt(Some("192.0.2.1".parse().unwrap()), b"alice", None).unwrap();
    for _ in 0..20 {
        let _ = stage.guard.failed(&proof, stage.now);
    }
    assert!(matches!(stage.judge("192.0.2.1", "bob"), Judgement::Refuse(_)));
}

#[test]
fn a_subscriber_with_many_ipv6_addresses_is_one() {
    let mut stage = Stage::new();
    for number in 0..20 {
        stage.fail(&format!("2001:db8::{number:x}"), "alice");
    }
    assert_eq!(stage.judge("2001:db8::ffff", "bob"), Judgement::Refuse(MINUTE));
    assert_eq!(stage.judge("2001:db8:0:1::1", "bob"), Judgement::Go);
    for number in 0..160 {
        stage.fail(&format!("2001:db8:0:{number:x}::1"), "alice");
    }
    assert!(matches!(stage.judge("2001:db8:0:ffff::1", "bob"), Judgement::Refuse(_)));
    assert_eq!(stage.judge("2001:db8:1::1", "bob"), Judgement::Go);
}

#[test]
fn exempt_networks_and_unknown_addresses_are_not_judged() {
    let mut stage = Stage::new();
    let attempt = |guard: &Guard, address: &str| guard.attempt(address.parse().ok(), b"alice", None);
    assert!(attempt(&stage.guard, "::1").is_none() && attempt(&stage.guard, "::ffff:127.0.0.9").is_none());
    assert!(attempt(&stage.guard, "").is_none() && attempt(&stage.guard, "192.0.2.1").is_some());
    let exempt = Networks::parse(b"192.0.2.0/24").unwrap();
    stage.guard.configure(Settings { exempt, ..Settings::default() });
    assert!(attempt(&stage.guard, "::1").is_some() && attempt(&stage.guard, "192.0.2.1").is_none());
    stage.guard.configure(Settings { limit: 0, ..Settings::default() });
    assert!(attempt(&stage.guard, "198.51.100.1").is_none());
}

#[test]
fn a_flood_of_addresses_does_not_wash_away_who_goes_on() {
    let mut stage = Stage::new();
    stage.fail_often(20, "192.0.2.1", "alice");
    for number in 0..50_000u32 {
        let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        stage.fail(&address.to_string(), &number.to_string());
    }
    assert_eq!(stage.judge("192.0.2.1", "bob"), Judgement::Refuse(MINUTE));
    assert_eq!(stage.judge("198.51.100.1", "alice"), seconds(15));
}

#[test]
fn strange_settings_and_times_do_no_harm() {
    let mut stage = Stage::new();
    let attempt = stage.attempt("192.0.2.1", "alice", "");
    for (limit, forgiven_in, longest_wait) in [
        (1, Duration::ZERO, Duration::ZERO),
        (u32::MAX, Duration::MAX, Duration::MAX),
        (1, Duration::MAX, Duration::ZERO),
    ] {
        stage.guard.configure(Settings { limit, forgiven_in, longest_wait, ..Settings::default() });
        for _ in 0..100 {
            let _ = (stage.guard.failed(&attempt, stage.now), stage.guard.judge(&attempt, stage.now));
        }
        stage.guard.succeeded(&attempt, stage.now);
    }
    let before = stage.now - DAY;
    let _ = (stage.guard.judge(&attempt, before), stage.guard.failed(&attempt, before));
}

/// What may happen at a server with few addresses and few users.
#[derive(Clone, Debug)]
enum Event {
    Fail(u8, u8, u8),
    Succeed(u8, u8),
    Pause(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0u8..6, 0u8..4, any::<u8>()).prop_map(|(address, user, word)| Event::Fail(address, user, word)),
        2 => (0u8..6, 0u8..4).prop_map(|(address, user)| Event::Succeed(address, user)),
        1 => (0u32..200).prop_map(Event::Pause),
    ];
    prop::collection::vec(event, 0..300)
}

/// Plays `events` on a few neighbouring addresses.
fn play(stage: &mut Stage, events: &[Event]) {
    for event in events {
        match event {
            Event::Fail(address, user, word) => {
                let attempt =
                    stage.attempt(&format!("192.0.2.{address}"), &user.to_string(), &word.to_string());
                let _ = stage.guard.failed(&attempt, stage.now);
            }
            Event::Succeed(address, user) => stage.succeed(&format!("192.0.2.{address}"), &user.to_string()),
            Event::Pause(pause) => stage.now += Duration::from_secs((*pause).into()),
        }
    }
}

proptest! {
    #[test]
    fn nobody_waits_or_is_refused_for_longer_than_is_said(events in events()) {
        let mut stage = Stage::new();
        play(&mut stage, &events);
        for address in 0..6 {
            for user in 0..4 {
                match stage.judge(&format!("192.0.2.{address}"), &user.to_string()) {
                    Judgement::Go => {}
                    Judgement::Wait(wait) => prop_assert!(wait <= Duration::from_secs(15)),
                    Judgement::Refuse(time) => prop_assert!(time <= MINUTE),
                }
            }
        }
        // And after a while of silence everything is as on the first day.
        stage.now += 20 * MINUTE;
        for address in 0..6 {
            prop_assert_eq!(stage.judge(&format!("192.0.2.{address}"), "0"), Judgement::Go);
        }
    }

    #[test]
    fn nothing_that_others_do_elsewhere_reaches_who_is_known(events in events(), hours in 0u32..100) {
        let mut stage = Stage::new();
        stage.succeed("203.0.113.1", "0");
        play(&mut stage, &events);
        stage.now += HOUR * hours;
        play(&mut stage, &events);
        prop_assert_eq!(stage.judge("203.0.113.1", "0"), Judgement::Go);
    }

    #[test]
    fn an_address_with_as_many_failures_as_the_limit_is_refused(
        users in prop::collection::vec(0u8..30, 20..60),
    ) {
        let mut stage = Stage::new();
        for user in users {
            let _ = stage.fail("192.0.2.1", &user.to_string());
        }
        prop_assert_eq!(stage.judge("192.0.2.1", "somebody"), Judgement::Refuse(MINUTE));
    }

    #[test]
    fn to_judge_changes_nothing(events in events()) {
        let mut stage = Stage::new();
        play(&mut stage, &events);
        let first = stage.judge("192.0.2.1", "1");
        for _ in 0..100 {
            prop_assert_eq!(stage.judge("192.0.2.1", "1"), first);
        }
    }
}
