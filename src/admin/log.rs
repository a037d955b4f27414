//! What the log tells, on the admin address.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, json as answer_json, problem};
use crate::log_level::{LogLevel, LogLevelError};
use crate::model::limits;

/// How often it is looked whether a change is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What is wanted of the log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The filter; absent: the usual one.
    filter: Option<String>,
    /// How long it holds.
    expires_seconds: Option<f64>,
}

/// `GET /api/v1/log-level`: what the log tells.
pub(super) fn answer() -> Answer {
    let Some(log) = LogLevel::of_process() else { return none() };
    let (state, now) = (log.state(), Instant::now());
    let left = state.until.map(|until| until.saturating_duration_since(now).as_secs_f64());
    answer_json(&json!({
        "filter": state.filter,
        "usual": state.usual,
        "expires_in_seconds": left,
    }))
}

/// `PUT /api/v1/log-level`: changes it for a while.
pub(super) fn change(body: &[u8]) -> Answer {
    let Some(log) = LogLevel::of_process() else { return none() };
    let change: Change = match serde_json::from_slice(body) {
        Ok(change) => change,
        Err(error) => return malformed(&error.to_string()),
    };
    let lifetime = match change.expires_seconds.map(Duration::try_from_secs_f64) {
        None => limits::LOG_CHANGE,
        Some(Ok(lifetime)) if !lifetime.is_zero() && lifetime <= limits::LOG_CHANGE_MAX => lifetime,
        Some(_) => {
            let most = limits::LOG_CHANGE_MAX.as_secs();
            return malformed(&format!("`expires_seconds` is above 0 and at most {most}"));
        }
    };
    let changed = match &change.filter {
        Some(filter) => log.change(filter, Instant::now(), lifetime),
        None => log.reset(),
    };
    match changed {
        Ok(()) => {
            // A line that passes most filters, because somebody may wonder.
            tracing::warn!(filter = log.state().filter, "what the log tells was changed");
            if log.begin_watch() {
                tokio::spawn(expire(log));
            }
            answer()
        }
        Err(LogLevelError::Malformed { source, .. }) => malformed(&source.to_string()),
        Err(error) => malformed(&error.to_string()),
    }
}

/// Waits until the change is over, however often it is changed meanwhile.
async fn expire(log: LogLevel) {
    while log.watch(Instant::now()) {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn malformed(detail: &str) -> Answer {
    problem(StatusCode::BAD_REQUEST, "malformed_request", detail)
}

fn none() -> Answer {
    problem(StatusCode::NOT_FOUND, "no_log", "this process has no log that could be changed")
}
