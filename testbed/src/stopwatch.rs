//! Whether one can tell things apart by the time they take, as somebody would
//! who guesses at user names.
//!
//! The things are done in turns, so that whatever else the machine is doing
//! disturbs them alike. Two of them are told apart if they differ, at the lower
//! quartile and at the median, by more than the same thing differs from itself:
//! between the first and the second half of its own tries, and by chance, as
//! wide as they are scattered. So a busy machine blurs the picture, and does not
//! make one up.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Outcome;

/// How often each thing is done.
pub const TRIES: usize = 200;

/// What nobody measures from outside, however quiet it is: a share of the whole
/// time, or so many seconds.
const UNSEEN: (f64, f64) = (0.05, 10e-6);

/// How far two medians of [`TRIES`] values of one kind may lie apart by chance,
/// in distances between the quartiles: more than four standard deviations.
const CHANCE: f64 = 0.42;

/// A name, and something that takes its time.
pub type Timed<'a> = (&'a str, &'a mut dyn FnMut() -> Outcome);

/// How long something took, each time.
#[derive(Debug)]
pub struct Times {
    name: String,
    seconds: Vec<f64>,
}

/// Does each of `things` [`TRIES`] times, in turns.
///
/// # Errors
/// The first fault of one of them.
pub fn times(things: &mut [Timed<'_>]) -> Outcome<Vec<Times>> {
    let mut times: Vec<Times> = things
        .iter()
        .map(|(name, _)| Times { name: (*name).to_owned(), seconds: Vec::with_capacity(TRIES) })
        .collect();
    // Once for whatever is done only at the beginning.
    things.iter_mut().try_for_each(|(_, run)| run())?;
    for round in 0..TRIES {
        for turn in 0..things.len() {
            // Another one is first each time: nobody is always behind the same.
            let at = (round + turn) % things.len();
            let begin = Instant::now();
            (things[at].1)()?;
            times[at].seconds.push(begin.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

/// Whether `one` and `other` are told apart by their times.
#[must_use]
pub fn tells_apart(one: &Times, other: &Times) -> bool {
    [0.25, 0.5].into_iter().all(|share| {
        let (a, b) = (quantile(&one.seconds, share), quantile(&other.seconds, share));
        let noise = one.noise(share).max(other.noise(share));
        (a - b).abs() > noise.max(UNSEEN.0 * a.min(b)).max(UNSEEN.1)
    })
}

/// Does each of `things` in turns, and finds that no two are told apart.
///
/// # Errors
/// Two are, with what was measured; or one of them has a fault.
pub fn look_alike(things: &mut [Timed<'_>]) -> Outcome {
    let times = times(things)?;
    for (at, one) in times.iter().enumerate() {
        if let Some(other) = times[at + 1..].iter().find(|other| tells_apart(one, other)) {
            return Err(format!("one can tell\n  {one} from\n  {other}").into());
        }
    }
    Ok(())
}

impl Times {
    /// By how much it differs from itself at the quantile `share`.
    fn noise(&self, share: f64) -> f64 {
        let (first, second) = self.seconds.split_at(self.seconds.len() / 2);
        let halves = (quantile(first, share) - quantile(second, share)).abs();
        halves + CHANCE * (quantile(&self.seconds, 0.75) - quantile(&self.seconds, 0.25))
    }
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lower, median, upper] =
            [0.25, 0.5, 0.75].map(|share| Duration::from_secs_f64(quantile(&self.seconds, share)));
        write!(formatter, "{}: quartiles {lower:.1?}, {median:.1?}, {upper:.1?}", self.name)
    }
}

/// The value that so large a `share` of `values` does not exceed.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = (values.len() as f64 * share) as usize;
    values.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{TRIES, Times, tells_apart};

    /// Times around `middle`, with a deviation that goes up and down.
    fn around(middle: f64, deviation: f64) -> Times {
        let at =
            |number: usize| middle + deviation * f64::from(u8::try_from(number % 21).unwrap_or(0)) / 10.0;
        Times { name: String::new(), seconds: (0..TRIES).map(at).collect() }
    }

    #[test]
    fn what_differs_by_less_than_it_differs_from_itself_is_alike() {
        assert!(!tells_apart(&around(3e-3, 1e-4), &around(3e-3, 1e-4)));
        assert!(!tells_apart(&around(3e-3, 1e-3), &around(3.3e-3, 1e-3)));
        assert!(!tells_apart(&around(3e-3, 0.0), &around(3.1e-3, 0.0)));
    }

    #[test]
    fn what_differs_by_more_is_told_apart() {
        assert!(tells_apart(&around(3e-3, 1e-4), &around(4e-3, 1e-4)));
        assert!(tells_apart(&around(3e-3, 1e-4), &around(3e-5, 1e-5)));
        assert!(tells_apart(&around(3e-3, 0.0), &around(3.2e-3, 0.0)));
    }

    #[test]
    fn a_few_microseconds_are_nobodys_business() {
        assert!(!tells_apart(&around(30e-6, 0.0), &around(38e-6, 0.0)));
        assert!(tells_apart(&around(30e-6, 0.0), &around(50e-6, 0.0)));
    }

    #[test]
    fn a_machine_that_gets_slower_in_the_middle_blurs_the_picture() {
        let mut times = around(3e-3, 1e-4);
        times.seconds[TRIES / 2..].iter_mut().for_each(|seconds| *seconds *= 2.0);
        assert!(!tells_apart(&times, &around(4e-3, 1e-4)));
    }
}
