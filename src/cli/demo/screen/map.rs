//! The map: every country where clients are, in the colour of the region that answered it last.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::canvas::{Canvas, Map, MapResolution};

use super::super::places::PLACES;
use super::draw::{colour, panel};
use super::view::View;

/// Without the poles, where nobody asks.
const LATITUDES: [f64; 2] = [-56.0, 78.0];
const LONGITUDES: [f64; 2] = [-140.0, 180.0];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let title = " Where requests go: ● client's country, in the colour of its region ";
    let canvas = Canvas::default()
        .block(panel(title))
        .marker(Marker::Braille)
        .x_bounds(LONGITUDES)
        .y_bounds(LATITUDES)
        .paint(|context| {
            context.draw(&Map { color: Color::DarkGray, resolution: MapResolution::High });
            context.layer();
            for country in &view.countries {
                let Some(region) = country.region else { continue };
                let dot = Line::styled("●", Style::new().fg(colour(region)));
                context.print(country.longitude, country.latitude, dot);
            }
            for (i, (place, region)) in PLACES.iter().zip(&view.regions).enumerate() {
                let up = region.state.takes_traffic() && region.pid.is_some();
                let style = Style::new().fg(Color::Black).bg(colour(i)).bold();
                let style = if up { style } else { style.bg(Color::Red).crossed_out() };
                let label = Line::styled(format!(" {} ", i + 1), style);
                context.print(place.coordinates.longitude, place.coordinates.latitude, label);
            }
        });
    frame.render_widget(canvas, area);
}
