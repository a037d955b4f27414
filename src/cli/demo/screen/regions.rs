//! The panel of the regions: a line each, with its latest history as bars.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::draw::{colour, grouped, panel};
use super::view::{RegionView, View};
use crate::model::RegionState;

/// Heights of a step of the history.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let block = panel(" Regions ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let wide = inner.width >= 94;
    let total = view.regions.iter().map(|region| region.pace.per_second).sum::<f64>();
    let mut lines = vec![region_titles(wide)];
    let most = view.regions.iter().flat_map(|region| &region.history).max().copied();
    for (i, region) in view.regions.iter().enumerate() {
        lines.push(region_line(i, region, total, most.unwrap_or(0), wide, inner.width));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn region_titles(wide: bool) -> Line<'static> {
    let place = if wide { format!("{:<17}", "place") } else { String::new() };
    let text = format!(
        "   {:<16}{place}{:<10}{:>6}{:>6}{:>8}{:>8}{:>9}  each 0.5 s",
        "region", "state", "req/s", "share", "p50 ms", "p99 ms", "answers"
    );
    Line::styled(text, Style::new().fg(Color::DarkGray))
}

fn region_line(
    i: usize,
    region: &RegionView,
    total: f64,
    most: u64,
    wide: bool,
    width: u16,
) -> Line<'static> {
    let own = Style::new().fg(colour(i));
    let alive = region.pid.is_some();
    let (word, mood) = match region.state {
        RegionState::Healthy if alive => ("healthy", Color::LightGreen),
        RegionState::Healthy => ("killed", Color::LightYellow),
        RegionState::Degraded => ("degraded", Color::LightYellow),
        RegionState::Down if alive => ("cooldown", Color::LightYellow),
        RegionState::Down => ("down", Color::LightRed),
    };
    let place = match (wide, region.bias) {
        (false, _) => String::new(),
        (true, 0) => format!("{:<17}", region.location),
        (true, bias) => format!("{:<17}", format!("bias {bias:+}")),
    };
    let share = if total > 0.0 { region.pace.per_second / total * 100.0 } else { 0.0 };
    let numbers = format!(
        "{:>6.0}{:>5.0}%{:>8}{:>8}{:>9}  ",
        region.pace.per_second,
        share,
        plain_ms(region.pace.p50),
        plain_ms(region.pace.p99),
        grouped(region.answered),
    );
    let mut spans = vec![
        Span::styled(format!(" {} ", i + 1), Style::new().fg(Color::Black).bg(colour(i)).bold()),
        Span::styled(format!("{:<16}", format!(" {}", region.id)), own.bold()),
        Span::raw(place),
        Span::styled(format!("{word:<10}"), Style::new().fg(mood).bold()),
        Span::raw(numbers),
    ];
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::styled(
        bars(&region.history, most, usize::from(width).saturating_sub(used)),
        own,
    ));
    Line::from(spans)
}

/// The latest steps as bars, the newest at the right.
fn bars(history: &[u64], most: u64, width: usize) -> String {
    let steps = history.iter().skip(history.len().saturating_sub(width));
    let missing = width.saturating_sub(history.len());
    std::iter::repeat_n(&0, missing)
        .chain(steps)
        .map(|count| {
            let height = if most == 0 { 0 } else { (count * 8).div_ceil(most) };
            BARS.get(height as usize).copied().unwrap_or('█')
        })
        .collect()
}

fn plain_ms(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_from_the_right() {
        assert_eq!(bars(&[0, 1, 4, 8], 8, 6), "   ▁▄█");
        assert_eq!(bars(&[8, 0, 1], 8, 2), " ▁");
        assert_eq!(bars(&[0, 0], 0, 2), "  ");
    }
}
