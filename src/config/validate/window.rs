//! Windows of time.

use jiff::tz::{self, TimeZone};

use super::Context;
use super::values::{optional, optional_list};
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw::{self, Weekday};
use crate::config::report::Report;
use crate::config::settings::{TimeWindow, WeekdaySet};
use crate::model::limits::TIME_WINDOWS;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

pub(super) fn time_windows(
    field: &Field<Vec<Field<raw::TimeWindow>>>,
    cx: Context<'_>,
) -> Option<Vec<TimeWindow>> {
    let list = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(list) => list,
    };
    if list.is_empty() {
        let help = "write a window, or remove the field to match at any time";
        cx.report.error(field.at, "`time_windows` is empty", help);
        return None;
    }
    if list.len() > TIME_WINDOWS {
        let message = format!("{} windows are more than {TIME_WINDOWS}", list.len());
        cx.report.error(field.at, message, "use several rules");
        return None;
    }
    let read = list.iter().filter_map(|element| one(element, cx.report));
    let windows: Vec<_> = read.collect();
    (windows.len() == list.len()).then_some(windows)
}

fn one(field: &Field<raw::TimeWindow>, report: &Report<'_>) -> Option<TimeWindow> {
    let raw::TimeWindow { days, from, until, timezone } = field.value()?;
    if days.is_absent() && from.is_absent() && until.is_absent() {
        if !report.has_unknown_field(field.at) {
            let help = "write `days`, `from` or `until`, or remove the window";
            report.error(field.at, "this window is open all the time", help);
        }
        return None;
    }
    let shown = |_: &_, day: &Weekday| format!("{day:?}").to_lowercase();
    let listed = optional_list(days, "days", report, |_, day, _| Some(*day), shown);
    let from = optional(from, |text| minute(from, text, DAY - 1, report));
    let until = optional(until, |text| minute(until, text, DAY, report));
    let zone = match &timezone.state {
        State::Absent => Some(TimeZone::UTC),
        State::Broken => None,
        State::Present(name) => zone(timezone, name, report),
    };
    let until = until?.unwrap_or(DAY);
    Some(TimeWindow {
        days: weekdays(&listed?),
        from: from?.unwrap_or(0),
        // Midnight is the end of the day that ends there.
        until: if until == 0 { DAY } else { until },
        zone: zone?,
    })
}

fn weekdays(listed: &[Weekday]) -> WeekdaySet {
    if listed.is_empty() {
        return WeekdaySet::ALL;
    }
    let bit = |day: &Weekday| match day {
        Weekday::Mon => 1,
        Weekday::Tue => 1 << 1,
        Weekday::Wed => 1 << 2,
        Weekday::Thu => 1 << 3,
        Weekday::Fri => 1 << 4,
        Weekday::Sat => 1 << 5,
        Weekday::Sun => 1 << 6,
    };
    WeekdaySet(listed.iter().map(bit).fold(0, |set, day| set | day))
}

/// Minutes after midnight of `08:00`, up to `most`.
fn minute(field: &Field<String>, text: &str, most: u16, report: &Report<'_>) -> Option<u16> {
    let digits = |part: &str| -> Option<u16> {
        let two = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|_| two)
    };
    let parts = text.split_once(':');
    let parts = parts.and_then(|(hour, minute)| Some((digits(hour)?, digits(minute)?)));
    let minute = parts.filter(|(_, minute)| *minute < 60).map(|(hour, minute)| hour * 60 + minute);
    let minute = minute.filter(|minute| *minute <= most);
    if minute.is_none() {
        let help = if most == DAY { "from `00:00` to `24:00`" } else { "from `00:00` to `23:59`" };
        report.error(field.at, format!("{} is not a time of day", Quoted(text)), help);
    }
    minute
}

fn zone(field: &Field<String>, name: &str, report: &Report<'_>) -> Option<TimeZone> {
    // The database would take any of its names in any case, and file names as well.
    let sane = name.len() <= 64 && !name.starts_with('/') && !name.contains("..");
    if let Some(zone) = sane.then(|| TimeZone::get(name).ok()).flatten() {
        return Some(zone);
    }
    let names: Vec<_> = tz::db().available().map(|name| name.to_string()).collect();
    let near = report.nearest(name, names.iter().map(String::as_str));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "a name of the IANA time zone database, such as `Europe/Berlin`, or `UTC`".into(),
    };
    report.error(field.at, format!("there is no time zone {}", Quoted(name)), help);
    None
}
