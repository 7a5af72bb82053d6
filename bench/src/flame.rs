//! A flame graph: who called whom, as wide as the processor was busy with it.
//! SVG without a script; a browser shows what a box is when it is pointed at.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Widths and heights, in pixels.
const WIDTH: f64 = 1200.0;
const BOX: f64 = 15.0;
const HEAD: f64 = 40.0;
/// What a letter takes.
const LETTER: f64 = 6.3;
/// Boxes that are drawn, the widest: what is too narrow to be seen only makes
/// the file large.
const MOST: usize = 900;

/// A function that was seen below another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    name: String,
    kernel: bool,
}

/// How often something was seen, and what it had called then.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    samples: usize,
    called: BTreeMap<Frame, Stacks>,
}

impl Stacks {
    /// Reads what `perf script -F comm,ip,sym,dso` says: of each sample the
    /// program on a line, its frames on one line each, the innermost first, and
    /// an empty line.
    pub(crate) fn read(text: &str) -> Stacks {
        let mut stacks = Stacks::default();
        for sample in text.split("\n\n") {
            let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
            let Some(program) = lines.next() else { continue };
            let program = Frame { name: program.trim().to_owned(), kernel: false };
            let frames: Vec<Frame> = lines.filter_map(frame).collect();
            stacks.add([program].into_iter().chain(frames.into_iter().rev()));
        }
        stacks
    }

    fn add(&mut self, frames: impl Iterator<Item = Frame>) {
        self.samples += 1;
        let mut at = self;
        for frame in frames {
            at = at.called.entry(frame).or_default();
            at.samples += 1;
        }
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// Draws it.
    pub(crate) fn draw(&self, title: &str) -> String {
        let mut sizes = Vec::new();
        self.sizes(&mut sizes);
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let least = sizes.get(MOST).map_or(0, |size| size + 1);
        let height = HEAD + BOX * self.depth(least) as f64;
        let mut body = String::new();
        self.boxes(&mut body, 0.0, height, WIDTH / self.samples.max(1) as f64, least);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
             font-family=\"monospace\" font-size=\"10\">\n<style>rect{{stroke:white;stroke-width:.5}}\
             .k{{fill:#f4a582}}.u{{fill:#a6dba0}}</style>\n<rect width=\"100%\" height=\"100%\" \
             style=\"fill:white\"/>\n<text x=\"6\" y=\"16\" font-weight=\"bold\">{} ({} samples; orange: \
             kernel)</text>\n{body}</svg>\n",
            escaped(title),
            self.samples
        )
    }

    fn sizes(&self, sizes: &mut Vec<usize>) {
        for stacks in self.called.values() {
            sizes.push(stacks.samples);
            stacks.sizes(sizes);
        }
    }

    fn depth(&self, least: usize) -> usize {
        let seen = self.called.values().filter(|stacks| stacks.samples >= least);
        seen.map(|stacks| 1 + stacks.depth(least)).max().unwrap_or(0)
    }

    /// Boxes of all that was called from here, on `floor`, from `x` on.
    fn boxes(&self, body: &mut String, mut x: f64, floor: f64, scale: f64, least: usize) {
        for (frame, stacks) in self.called.iter().filter(|(_, stacks)| stacks.samples >= least) {
            let (width, y) = (stacks.samples as f64 * scale, floor - BOX);
            let kind = if frame.kernel { "k" } else { "u" };
            let _ = writeln!(
                body,
                "<g><title>{} ({:.1} %)</title><rect class=\"{kind}\" x=\"{x:.1}\" y=\"{y:.0}\" \
                 width=\"{width:.1}\" height=\"{BOX}\"/>{}</g>",
                escaped(&frame.name),
                width * 100.0 / WIDTH,
                label(&frame.name, x, y, width),
            );
            stacks.boxes(body, x, y, scale, least);
            x += width;
        }
    }
}

fn label(name: &str, x: f64, y: f64, width: f64) -> String {
    let letters = (width / LETTER) as usize;
    if letters < 4 {
        return String::new();
    }
    // Of a path the end says most.
    let short = name.rsplit_once("::").filter(|_| name.len() > letters).map_or(name, |(_, last)| last);
    let short: String = short.chars().take(letters - 1).collect();
    format!("<text x=\"{:.1}\" y=\"{:.0}\">{}</text>", x + 2.0, y + 11.0, escaped(&short))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One line: address, function, and in parentheses what it belongs to. Where
/// the C library keeps no frame pointer, a caller has no name; it is left out.
fn frame(line: &str) -> Option<Frame> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (name, object) = rest.rsplit_once(" (").unwrap_or((rest, ""));
    (name != "[unknown]").then(|| Frame { name: plain(name), kernel: object.starts_with("[kernel") })
}

/// A function's name without the hash that the compiler puts behind it.
fn plain(name: &str) -> String {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 => path.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Stacks;

    const SCRIPT: &str = "postrider-front \n\t    42b0 do_syscall_64 ([kernel.kallsyms])\n\t    10 \
                          front::serve::h0123456789abcdef (/bin/postrider-front)\n\t    0 [unknown] \
                          ([unknown])\n\npostrider-front \n\t    11 front::serve::h0123456789abcdef (/bin/postrider-front)\n\n";

    #[test]
    fn samples_of_one_stack_are_one_box_and_what_it_calls_is_on_top() {
        let stacks = Stacks::read(SCRIPT);
        assert_eq!(stacks.samples(), 2);
        let picture = stacks.draw("short");
        assert!(picture.contains("<title>front::serve (100.0 %)</title>"), "{picture}");
        assert!(picture.contains("<title>do_syscall_64 (50.0 %)</title><rect class=\"k\""), "{picture}");
    }
}
