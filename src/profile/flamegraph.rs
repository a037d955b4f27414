//! A profile as a picture: who was called by whom lies on top of them, and is as wide as it took time.
//! No script and no interaction; `pprof` has those.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Profile;
use super::symbols::Symbols;

const WIDTH: f64 = 1_200.0;
const ROW: f64 = 17.0;
/// What is narrower is left out.
const LEAST: f64 = 0.4;
/// Of a letter.
const LETTER: f64 = 6.6;

/// A function with those that it called.
#[derive(Debug, Default)]
struct Frame {
    count: u64,
    called: BTreeMap<String, Frame>,
}

impl Frame {
    fn add(&mut self, names: impl Iterator<Item = String>, count: u64) {
        let mut frame = self;
        frame.count += count;
        for name in names {
            frame = frame.called.entry(name).or_default();
            frame.count += count;
        }
    }

    fn depth(&self) -> usize {
        1 + self.called.values().map(Self::depth).max().unwrap_or(0)
    }
}

/// The picture.
pub(super) fn svg(profile: &Profile, symbols: &Symbols) -> String {
    let mut all = Frame::default();
    for ((thread, stack), count) in &profile.stacks {
        let thread = profile.threads.get(*thread).cloned().unwrap_or_default();
        let functions = stack.iter().rev().filter_map(|address| symbols.get(address));
        let functions = functions.flat_map(|functions| functions.iter().rev());
        let names = functions.map(|function| function.name.clone());
        all.add(std::iter::once(thread).chain(names), *count);
    }
    let height = (all.depth() + 1) as f64 * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fdfdf6\"/>\n"
    );
    let name = format!("all, {} samples, {} lost", all.count, profile.lost);
    let mut drawing = Drawing { out: &mut out, total: all.count.max(1), height };
    drawing.draw(&name, &all, 0.0, 0);
    out.push_str("</svg>\n");
    out
}

struct Drawing<'a> {
    out: &'a mut String,
    total: u64,
    height: f64,
}

impl Drawing<'_> {
    /// As deep as stacks are, which the kernel limits.
    fn draw(&mut self, name: &str, frame: &Frame, x: f64, level: usize) {
        let width = frame.count as f64 / self.total as f64 * WIDTH;
        // Of a process that did nothing there is still that much to say.
        let width = if level == 0 { WIDTH } else { width };
        if width < LEAST {
            return;
        }
        let y = self.height - (level as f64 + 1.5) * ROW;
        let share = frame.count as f64 * 100.0 / self.total as f64;
        let shown: String = name.chars().take((width / LETTER) as usize).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.out,
            "<g><title>{}: {} samples, {share:.2} %</title>\
             <rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{}\" fill=\"{}\" \
             stroke=\"#fdfdf6\"/><text x=\"{:.2}\" y=\"{:.1}\">{}</text></g>",
            Escaped(name),
            frame.count,
            ROW - 1.0,
            colour(name),
            x + 2.0,
            y + ROW - 5.0,
            Escaped(&shown),
        );
        let mut x = x;
        for (name, called) in &frame.called {
            self.draw(name, called, x, level + 1);
            x += called.count as f64 / self.total as f64 * WIDTH;
        }
    }
}

/// A warm one, always the same for a name.
fn colour(name: &str) -> String {
    let hash = name.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
    format!("rgb({},{},{})", 205 + hash % 50, 90 + hash / 50 % 130, 40 + hash / 6_500 % 40)
}

/// Text as it may stand in XML.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            c if c.is_control() => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::symbols::Function;
    use super::*;

    #[test]
    fn what_took_longer_is_wider_and_names_cannot_break_out() {
        let function =
            |name: &str| vec![Function { name: name.to_owned(), file: String::new(), line: 0 }];
        let symbols = Symbols::from([(1, function("<A as B>::c\u{1}")), (2, function("rare"))]);
        let stacks = HashMap::from([((0, vec![1]), 75), ((0, vec![2]), 25)]);
        let threads = vec!["w".to_owned()];
        let svg = svg(&Profile { threads, stacks, ..Profile::default() }, &symbols);
        assert!(svg.contains("<title>&lt;A as B&gt;::c\u{fffd}: 75 samples, 75.00 %</title>"));
        assert!(svg.contains("width=\"900.00\"") && svg.contains("width=\"300.00\""), "{svg}");
        assert!(svg.contains("all, 100 samples, 0 lost"));
        assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    }

    #[test]
    fn a_process_that_did_nothing_has_a_picture() {
        let svg = svg(&Profile::default(), &Symbols::default());
        assert!(svg.contains("all, 0 samples, 0 lost"), "{svg}");
    }
}
