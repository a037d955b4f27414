//! `GET /debug/pprof/profile?seconds=…&format=…`: where the process spends its time from now on.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};

use super::answer::{Answer, problem, typed};
use super::source::Admin;
use crate::model::limits;
use crate::profile::{Format, ProfileError};

pub(super) async fn answer(admin: &Admin, query: Option<&str>) -> Answer {
    let (length, format) = match wanted(query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, "malformed_request", &detail),
    };
    match (admin.profiler.record(length, format).await, format) {
        (Ok(picture), Format::Svg) => typed(StatusCode::OK, "image/svg+xml", picture),
        (Ok(profile), Format::Pprof) => {
            let mut answer = typed(StatusCode::OK, "application/octet-stream", profile);
            let name = HeaderValue::from_static("attachment; filename=\"rhumb.pb\"");
            answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
            answer
        }
        (Err(error), _) => refused(&error),
    }
}

fn refused(error: &ProfileError) -> Answer {
    let (status, reason) = match error {
        ProfileError::Busy => (StatusCode::CONFLICT, "busy"),
        ProfileError::NotPermitted(_) => (StatusCode::NOT_IMPLEMENTED, "not_permitted"),
        ProfileError::Unsupported(_) => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
        ProfileError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})"));
    problem(status, reason, &format!("{error}{}", cause.unwrap_or_default()))
}

fn wanted(query: &str) -> Result<(Duration, Format), String> {
    let (mut length, mut format) = (limits::PROFILE_LENGTH, Format::Pprof);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("seconds", seconds)) => {
                let seconds = seconds.parse().ok().map(Duration::try_from_secs_f64);
                let fits =
                    |length: &Duration| !length.is_zero() && *length <= limits::PROFILE_LENGTH_MAX;
                length = seconds.and_then(Result::ok).filter(fits).ok_or_else(|| {
                    let most = limits::PROFILE_LENGTH_MAX.as_secs();
                    format!("`seconds` is above 0 and at most {most}")
                })?;
            }
            Some(("format", "pprof")) => format = Format::Pprof,
            Some(("format", "svg")) => format = Format::Svg,
            Some(("format", _)) => return Err("`format` is `pprof` or `svg`".to_owned()),
            _ => return Err("the parameters are `seconds` and `format`".to_owned()),
        }
    }
    Ok((length, format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_bounded_and_of_a_known_kind() {
        let seconds = Duration::from_secs_f64;
        for (query, expected) in [
            ("", Some((seconds(10.0), Format::Pprof))),
            ("seconds=0.5&format=svg", Some((seconds(0.5), Format::Svg))),
            ("format=pprof&seconds=60", Some((seconds(60.0), Format::Pprof))),
            ("seconds=61", None),
            ("seconds=0", None),
            ("seconds=-1", None),
            ("seconds=NaN", None),
            ("seconds=1e300", None),
            ("seconds", None),
            ("format=html", None),
            ("second=1", None),
        ] {
            assert_eq!(wanted(query).ok(), expected, "{query}");
        }
    }
}
