//! The picture: a bar for everybody in each scenario, and the curves. SVG,
//! which is text, so that a browser shows it and a diff can be read.

use std::fmt::Write;

use crate::figures::{Outcome, Unit};
use crate::places::Who;
use crate::run::Measured;

/// Widths and heights, in pixels.
const WIDTH: f64 = 900.0;
const BAR: f64 = 13.0;
const LABEL: f64 = 130.0;
const CURVE: f64 = 300.0;

/// Draws it.
pub(crate) fn draw(results: &[Measured]) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for (scenario, row) in results.iter().filter(|(scenario, _)| scenario.curve.is_none()) {
        y = bars(&mut body, y, &heading(&scenario.title, scenario.unit), scenario.unit, row);
    }
    let mut names: Vec<&str> = results.iter().filter_map(|(scenario, _)| Some(scenario.curve?.0)).collect();
    names.dedup();
    for name in names {
        y = curve(&mut body, y, name, results);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn heading(title: &str, unit: Unit) -> String {
    format!("{title} ({} is better)", if unit.more_is_better() { "more" } else { "less" })
}

fn color(who: Who) -> &'static str {
    match who {
        Who::Service => "#1b7837",
        Who::Classic => "#7fbf7b",
        Who::Courier => "#b2182b",
        Who::CourierAtOnce => "#ef8a62",
        Who::Dovecot => "#2166ac",
        Who::Limit => "#999999",
    }
}

/// Bars below a heading; where the next thing begins.
fn bars(
    body: &mut String,
    y: f64,
    heading: &str,
    unit: Unit,
    row: &std::collections::BTreeMap<Who, Outcome>,
) -> f64 {
    let most = row.values().filter_map(Outcome::value).fold(f64::MIN_POSITIVE, f64::max);
    let mut y = y + 14.0;
    text(body, 10.0, y, heading, "start\" font-weight=\"bold");
    y += 6.0;
    for (who, outcome) in row {
        let value = outcome.value();
        let width = (WIDTH - LABEL - 110.0) * value.unwrap_or(0.0).max(0.0) / most;
        text(body, LABEL - 6.0, y + BAR - 3.0, who.name(), "end");
        let _ = writeln!(
            body,
            "<rect x=\"{LABEL}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{:.0}\" fill=\"{}\"/>",
            BAR - 2.0,
            color(*who)
        );
        let shown = value.map_or("none".to_owned(), |value| unit.show(value));
        text(body, LABEL + width + 5.0, y + BAR - 3.0, &shown, "start");
        y += BAR;
    }
    y + 8.0
}

/// The curve called `name`, both axes logarithmic; where the next thing begins.
fn curve(body: &mut String, y: f64, name: &str, results: &[Measured]) -> f64 {
    let points: Vec<_> = results
        .iter()
        .filter_map(|(scenario, row)| {
            let (curve, at) = scenario.curve?;
            (curve == name).then_some((at as f64, scenario, row))
        })
        .collect();
    let Some((_, first, _)) = points.first() else { return y };
    let values: Vec<f64> = points
        .iter()
        .flat_map(|(_, _, row)| row.values().filter_map(Outcome::value))
        .filter(|value| *value > 0.0)
        .collect();
    let across = Axis::of(points.iter().map(|(at, _, _)| *at), LABEL, WIDTH - 120.0);
    let up = Axis::of(values.iter().copied(), y + CURVE, y + 40.0);
    let title = if name.ends_with("messages") {
        "poll, nothing new, by messages"
    } else {
        "memory per idle session, by sessions"
    };
    text(body, 10.0, y + 18.0, &heading(title, first.unit), "start\" font-weight=\"bold");
    for (at, label) in across.marks() {
        line(body, &[(at, y + CURVE), (at, y + 40.0)], "#dddddd", 1.0);
        text(body, at, y + CURVE + 15.0, &label, "middle");
    }
    for (at, label) in up.marks() {
        line(body, &[(LABEL, at), (WIDTH - 120.0, at)], "#dddddd", 1.0);
        text(body, LABEL - 6.0, at + 4.0, &label, "end");
    }
    for who in Who::ALL {
        let of = |(at, _, row): &(f64, _, &std::collections::BTreeMap<Who, Outcome>)| {
            let value = row.get(&who)?.value().filter(|value| *value > 0.0)?;
            Some((across.place(*at), up.place(value)))
        };
        let path: Vec<(f64, f64)> = points.iter().filter_map(of).collect();
        if let Some((x, end)) = path.last() {
            line(body, &path, color(who), 2.0);
            text(body, x + 6.0, end + 4.0, who.name(), "start");
        }
    }
    y + CURVE + 30.0
}

/// A logarithmic axis of whole powers of ten.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let most = values.fold(f64::MIN_POSITIVE, f64::max).log10().ceil();
        Axis { least, most: most.max(least + 1.0), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value.log10() - self.least) / (self.most - self.least)
    }

    /// Each power of ten: its place, and its name.
    fn marks(&self) -> Vec<(f64, String)> {
        let mut marks = Vec::new();
        let mut power = self.least;
        while power <= self.most {
            let value = 10f64.powf(power);
            let places = if power < 0.0 { power.abs() as usize } else { 0 };
            marks.push((self.place(value), format!("{value:.places$}")));
            power += 1.0;
        }
        marks
    }
}

fn text(body: &mut String, x: f64, y: f64, words: &str, anchor: &str) {
    // Names are written for Markdown.
    let words = words.replace('\\', "").replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn line(body: &mut String, path: &[(f64, f64)], color: &str, width: f64) {
    let points: Vec<_> = path.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        body,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"/>",
        points.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn an_axis_has_a_mark_for_each_power_of_ten() {
        let axis = Axis::of([3.0, 250.0].into_iter(), 0.0, 300.0);
        let marks = axis.marks();
        let names: Vec<_> = marks.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["1", "10", "100", "1000"]);
        assert!((axis.place(10.0) - 100.0).abs() < 1e-9);
    }
}
