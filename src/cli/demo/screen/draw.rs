//! How a picture looks, on terminals of any size: small ones lose the map first, then the lines to
//! try, and keep regions, countries and keys.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};

use super::super::places::PLACES;
use super::view::{CountryView, Mood, View};
use super::{map, regions};

/// From this size on there is room for the map.
const MAP_SIZE: (u16, u16) = (96, 28);
/// One column of countries beside the map.
const COUNTRY_WIDTH: u16 = 41;
/// The narrowest column of countries.
const COUNTRY_WIDTH_MIN: u16 = 38;
/// What a country's line has beside its name.
const COUNTRY_REST: u16 = 28;

/// The colour of a region.
pub(super) fn colour(region: usize) -> Color {
    [Color::LightBlue, Color::LightGreen, Color::LightMagenta]
        .get(region)
        .copied()
        .unwrap_or(Color::White)
}

pub(super) fn panel(title: &str) -> Block<'_> {
    let frame = Style::new().fg(Color::DarkGray);
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(frame)
        .title(title.bold().white())
}

/// Draws everything.
pub(super) fn all(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    let tries = if area.height >= 22 { view.tries.len() as u16 } else { 0 };
    let events = match area.height {
        44.. => 12,
        36.. => 9,
        26.. => 6,
        20.. => 4,
        _ => 0,
    };
    let regions = PLACES.len() as u16 + 3;
    let [head, regions_area, middle, events, tries, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(regions),
        Constraint::Min(0),
        Constraint::Length(events),
        Constraint::Length(tries),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(header(view, area.width), head);
    regions::draw(frame, regions_area, view);
    if area.width >= MAP_SIZE.0 && area.height >= MAP_SIZE.1 {
        let columns = if area.width >= 150 { 2 } else { 1 };
        let list = columns * COUNTRY_WIDTH + 2;
        let [left, right] =
            Layout::horizontal([Constraint::Min(0), Constraint::Length(list)]).areas(middle);
        map::draw(frame, left, view);
        draw_countries(frame, right, view);
    } else {
        draw_countries(frame, middle, view);
    }
    draw_events(frame, events, view);
    draw_tries(frame, tries, view);
    frame.render_widget(footer(), keys);
}

fn header(view: &View, width: u16) -> Line<'static> {
    let failed = match view.failed {
        0 => Span::styled("0 failed", Style::new().fg(Color::LightGreen).bold()),
        failed => {
            let why = view.latest_failure.clone().unwrap_or_default();
            Span::styled(format!("{failed} failed: {why}"), Style::new().fg(Color::LightRed).bold())
        }
    };
    let durations = match width {
        // Each region's are below in any case.
        ..100 => String::new(),
        _ => format!("   p50 {}   p99 {}", ms(view.pace.p50), ms(view.pace.p99)),
    };
    Line::from(vec![
        Span::styled(" Rhumb demo ", Style::new().fg(Color::Black).bg(Color::Cyan).bold()),
        Span::raw(format!(" {}  {} requests   ", clock(view.elapsed), grouped(view.requests))),
        failed,
        Span::raw(format!(
            "   {:.0}/s{durations}   generation {}",
            view.pace.per_second, view.generation
        )),
    ])
}

fn draw_countries(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let away = |country: &&CountryView| country.region.is_some_and(|region| region != country.home);
    let moved = view.countries.iter().filter(away).count();
    let title = match moved {
        0 => " Countries ".to_owned(),
        moved => format!(" Countries: {moved} not at their nearest "),
    };
    let block = panel(&title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let columns = (inner.width / COUNTRY_WIDTH_MIN).max(1);
    let rows = usize::from(inner.height);
    let areas = Layout::horizontal(vec![Constraint::Fill(1); usize::from(columns)]).split(inner);
    let mut countries = view.countries.iter();
    for area in areas.iter() {
        let name = usize::from(area.width.saturating_sub(COUNTRY_REST).clamp(4, 24));
        let lines = countries.by_ref().take(rows).map(|country| country_line(country, name));
        let lines: Vec<_> = lines.collect();
        frame.render_widget(Paragraph::new(lines), *area);
    }
}

fn country_line(country: &CountryView, width: usize) -> Line<'static> {
    let region = country.region.and_then(|region| PLACES.get(region)).map_or("", |place| place.id);
    let style = country.region.map_or(Style::new(), |region| Style::new().fg(colour(region)));
    let moved = country.region.is_some_and(|region| region != country.home);
    let name: String = country.name.chars().take(width).collect();
    Line::from(vec![
        Span::styled(format!(" {} ", country.code), Style::new().bold()),
        Span::raw(format!("{name:<width$}{:>6} ", grouped(country.requests))),
        Span::styled(if moved { "⇒ " } else { "→ " }, style),
        Span::styled(region, if moved { style.bold() } else { style }),
    ])
}

fn draw_events(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let block = panel(" Events ");
    let inner = block.inner(area);
    if area.height < 3 {
        return;
    }
    frame.render_widget(block, area);
    let lines = view.notes.iter().skip(view.notes.len().saturating_sub(inner.height.into()));
    let mut lines: Vec<_> = lines
        .map(|note| {
            let style = match note.mood {
                Mood::Hand => Style::new().fg(Color::Cyan),
                Mood::Good => Style::new().fg(Color::LightGreen),
                Mood::Doubt => Style::new().fg(Color::LightYellow),
                Mood::Bad => Style::new().fg(Color::LightRed),
            };
            let at =
                Span::styled(format!(" {} ", clock(note.at)), Style::new().fg(Color::DarkGray));
            Line::from(vec![at, Span::styled(note.text.clone(), style)])
        })
        .collect();
    if lines.is_empty() {
        let hint = " Nothing yet. Press 2 to kill the origin of eu-west-1, and watch Europe move.";
        lines.push(Line::styled(hint, Style::new().fg(Color::DarkGray)));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn draw_tries(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let named = area.width >= 100;
    let lines: Vec<_> = view
        .tries
        .iter()
        .map(|(name, text)| {
            let name = if named { format!(" {name:<28}") } else { " ".to_owned() };
            let name = Span::styled(name, Style::new().fg(Color::DarkGray));
            Line::from(vec![name, Span::raw(text.clone())])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn footer() -> Paragraph<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (key, what) in
        [("1 2 3", "kill -9 or revive a region"), ("r", "change a bias and reload"), ("q", "quit")]
    {
        spans.push(Span::styled(format!(" {key} "), Style::new().fg(Color::Black).bg(Color::Gray)));
        spans.push(Span::raw(format!(" {what}   ")));
    }
    Paragraph::new(Line::from(spans)).alignment(Alignment::Left)
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn clock(time: Duration) -> String {
    format!("{:02}:{:04.1}", time.as_secs() / 60, time.as_secs_f64() % 60.0)
}

fn ms(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::view::{Note, RegionView};
    use super::*;
    use crate::cli::demo::tally::Pace;
    use crate::model::RegionState;

    fn view() -> View {
        let region = |id, state, pid| RegionView {
            id,
            location: "Dublin, Ireland",
            state,
            bias: 0,
            pid,
            pace: Pace { per_second: 170.4, p50: Some(Duration::from_micros(9_240)), p99: None },
            answered: 1_234_567,
            history: vec![0, 1, 40, 80],
        };
        let country = |code: &str, name, region, home| CountryView {
            code: code.to_owned(),
            name,
            clients: 1,
            requests: 77,
            latitude: 51.0,
            longitude: 10.0,
            region,
            home,
        };
        View {
            elapsed: Duration::from_millis(75_300),
            generation: 7,
            requests: 12_345,
            failed: 0,
            latest_failure: None,
            pace: Pace::default(),
            regions: [
                region("us-east-1", RegionState::Healthy, Some(7)),
                region("eu-west-1", RegionState::Down, None),
                region("ap-northeast-1", RegionState::Down, Some(8)),
            ],
            countries: vec![
                country("DE", "Germany", Some(0), 1),
                country("JP", "Japan", Some(2), 2),
                country("BO", "Bolivia (Plurinational State of)", None, 0),
            ],
            notes: vec![Note { at: Duration::ZERO, text: "you: kill".into(), mood: Mood::Hand }],
            tries: vec![("ask", "curl http://127.0.0.1:1/".to_owned())],
        }
    }

    fn drawn(width: u16, height: u16, view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| all(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn every_size_shows_what_matters() {
        for (width, height) in [(80, 24), (100, 30), (120, 40), (160, 50), (240, 80)] {
            let text = drawn(width, height, &view());
            for word in [
                "0 failed",
                "12,345",
                "us-east-1",
                "eu-west-1",
                "ap-northeast-1",
                "healthy",
                "down",
                "cooldown",
                "1,234,567",
                "Germany",
                "you: kill",
                "curl",
                "quit",
                "1 not at their nearest",
                "generation 7",
                "01:15.3",
            ] {
                assert!(text.contains(word), "{word} at {width}x{height}:\n{text}");
            }
        }
    }

    #[test]
    fn failures_are_shown_with_a_reason() {
        let failed = View { failed: 3, latest_failure: Some("status 502".into()), ..view() };
        assert!(drawn(120, 40, &failed).contains("3 failed: status 502"));
    }

    #[test]
    fn no_size_breaks_it() {
        for width in [1, 2, 10, 37, 95, 96, 149, 150] {
            for height in [1, 2, 5, 10, 19, 20, 27, 28] {
                drawn(width, height, &view());
            }
        }
    }

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
