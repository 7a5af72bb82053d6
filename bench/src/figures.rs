//! Figures: what was measured, in which unit, and what it should be.

use std::collections::BTreeMap;

use crate::places::Who;
use crate::scenarios::median;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Operations per second; processor time in microseconds each.
    PerSecond,
    /// Milliseconds; processor time in milliseconds.
    Milliseconds,
    /// Megabytes (10^6 octets) per second; processor time in seconds per gigabyte.
    MegabytesPerSecond,
    /// Kilobytes (1000 octets).
    Kilobytes,
    /// Octets.
    Octets,
    /// How many.
    Calls,
    /// A multiple.
    Times,
}

/// What was measured in one turn.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// Processor time of the server, as the [`Unit`] has it.
    pub(crate) cpu: Option<f64>,
    /// What was measured beside it.
    pub(crate) also: Vec<Also>,
    /// What else there is to say.
    pub(crate) note: Option<String>,
}

/// A second figure of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Also {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn new(value: f64) -> Sample {
        Sample { value, cpu: None, also: Vec::new(), note: None }
    }

    pub(crate) fn cpu(self, cpu: f64) -> Sample {
        Sample { cpu: Some(cpu), ..self }
    }

    pub(crate) fn also(mut self, name: &'static str, unit: Unit, value: f64) -> Sample {
        self.also.push(Also { name, unit, value });
        self
    }

    pub(crate) fn note(self, note: String) -> Sample {
        Sample { note: Some(note), ..self }
    }
}

/// What we want of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The first is to have at least so large a share of the second's value.
    Share(Who, Who, f64),
    /// The service's value is to be no larger.
    AtMost(f64),
    /// The service's processor time is to be no larger.
    Cpu(f64),
    /// Of the service, the second figure of this name is to be no larger.
    AlsoAtMost(&'static str, Unit, f64),
    /// Of the service, the second figure of this name is to be no smaller.
    AlsoAtLeast(&'static str, Unit, f64),
}

/// What came of the turns at one place: samples, and what failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) samples: Vec<Sample>,
    pub(crate) faults: Vec<String>,
}

impl Outcome {
    /// The median of the values.
    pub(crate) fn value(&self) -> Option<f64> {
        self.middle(|sample| Some(sample.value))
    }

    /// The median of the processor times.
    pub(crate) fn cpu(&self) -> Option<f64> {
        self.middle(|sample| sample.cpu)
    }

    /// The second figures, each with its median.
    pub(crate) fn also(&self) -> Vec<Also> {
        let Some(sample) = self.samples.last() else { return Vec::new() };
        let middle =
            |name| self.middle(|sample| sample.also.iter().find(|also| also.name == name)?.value.into());
        let median = |also: &Also| Also { value: middle(also.name).unwrap_or(also.value), ..*also };
        sample.also.iter().map(median).collect()
    }

    /// The median of one of the second figures.
    pub(crate) fn also_of(&self, name: &str) -> Option<f64> {
        self.also().iter().find(|also| also.name == name).map(|also| also.value)
    }

    fn middle(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let values: Vec<_> = self.samples.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| median(values))
    }

    /// What was said last.
    pub(crate) fn note(&self) -> Option<&str> {
        self.samples.last()?.note.as_deref()
    }
}

/// A row: what came of a scenario everywhere.
pub(crate) type Row = BTreeMap<Who, Outcome>;

impl Goal {
    /// How it is written, and whether it is reached, if that can be told. What
    /// has failed once has not reached it.
    pub(crate) fn judge(self, unit: Unit, row: &Row) -> (String, Option<bool>) {
        let value = |who| row.get(&who).and_then(Outcome::value);
        let service = row.get(&Who::Service);
        let also = |name| service.and_then(|service| service.also_of(name));
        let (text, reached) = match self {
            Goal::Share(one, other, share) => {
                let is = value(one).zip(value(other)).map(|(one, other)| one / other);
                let who = if one == Who::Service { String::new() } else { format!("{}: ", one.name()) };
                (format!("{who}≥ {share} × {}", other.name()), is.map(|is| is >= share))
            }
            Goal::AtMost(most) => {
                (format!("≤ {}", unit.show(most)), value(Who::Service).map(|is| is <= most))
            }
            Goal::Cpu(most) => {
                (format!("≤ {}", unit.show_cpu(most)), service.and_then(Outcome::cpu).map(|is| is <= most))
            }
            Goal::AlsoAtMost(name, unit, most) => {
                (format!("{name} ≤ {}", unit.show(most)), also(name).map(|is| is <= most))
            }
            Goal::AlsoAtLeast(name, unit, least) => {
                (format!("{name} ≥ {}", unit.show(least)), also(name).map(|is| is >= least))
            }
        };
        let whose = if let Goal::Share(Who::Classic, ..) = self { Who::Classic } else { Who::Service };
        let failed = row.get(&whose).is_some_and(|outcome| !outcome.faults.is_empty());
        (text, if failed { Some(false) } else { reached })
    }
}

impl Unit {
    /// Whether more is better.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Unit::PerSecond | Unit::MegabytesPerSecond)
    }

    /// A value with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        let number = number(value);
        match self {
            Unit::PerSecond => format!("{number}/s"),
            Unit::Milliseconds => format!("{number} ms"),
            Unit::MegabytesPerSecond => format!("{number} MB/s"),
            Unit::Kilobytes => format!("{number} kB"),
            Unit::Octets => format!("{number} B"),
            Unit::Calls => number,
            Unit::Times => format!("{number} ×"),
        }
    }

    /// Processor time with its unit.
    pub(crate) fn show_cpu(self, value: f64) -> String {
        let number = number(value);
        match self {
            Unit::PerSecond => format!("{number} µs"),
            Unit::MegabytesPerSecond => format!("{number} s/GB"),
            Unit::Milliseconds | Unit::Kilobytes | Unit::Octets | Unit::Calls | Unit::Times => {
                format!("{number} ms")
            }
        }
    }
}

/// With as many digits as say something: three, or all in front of the point.
pub(crate) fn number(value: f64) -> String {
    let places = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), ""), |(whole, _)| (whole, &text[whole.len()..]));
    let digits = whole.len();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 && digits > 3 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::{Goal, Outcome, Row, Sample, Unit, number};
    use crate::places::Who;

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        let shown = [0.534, 12.34, 384.2, 9933.4, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.53", "12.3", "384", "9,933", "1,234,567"]);
    }

    #[test]
    fn a_goal_is_reached_or_not_or_nobody_knows() {
        let outcome = |value| Outcome { samples: vec![Sample::new(value)], faults: Vec::new() };
        let row: Row = [(Who::Service, outcome(50.0)), (Who::Limit, outcome(90.0))].into();
        let judge = |goal: Goal| goal.judge(Unit::PerSecond, &row).1;
        assert_eq!(judge(Goal::Share(Who::Service, Who::Limit, 0.5)), Some(true));
        assert_eq!(judge(Goal::Share(Who::Service, Who::Limit, 0.6)), Some(false));
        assert_eq!(judge(Goal::Share(Who::Service, Who::Dovecot, 2.0)), None);
        assert_eq!(judge(Goal::AtMost(49.0)), Some(false));
    }

    #[test]
    fn what_has_failed_once_has_reached_nothing() {
        let outcome = Outcome { samples: vec![Sample::new(1.0)], faults: vec!["lost".to_owned()] };
        let row: Row = [(Who::Service, outcome)].into();
        assert_eq!(Goal::AtMost(2.0).judge(Unit::Milliseconds, &row).1, Some(false));
    }

    #[test]
    fn the_middle_of_each_second_figure_counts() {
        let sample = |value| Sample::new(0.0).also("PASS", Unit::Milliseconds, value);
        let outcome = Outcome { samples: [9.0, 1.0, 2.0].map(sample).into(), faults: Vec::new() };
        assert_eq!(outcome.also_of("PASS"), Some(2.0));
        assert_eq!(outcome.also_of("QUIT"), None);
    }
}
