//! Health checks, failover, timeouts and retries of a deployment.

use super::Context;
use super::hosts::check_path;
use super::streams::grpc_statuses;
use super::values::{count, seconds};
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::settings::{Failover, GrpcStatuses, HealthCheck, Retries, Timeouts};
use crate::model::limits::{
    CHECK_FAST_INTERVAL, CHECK_INTERVAL, CHECK_INTERVAL_MIN, CHECK_TIMEOUT, CONNECT_TIMEOUT,
    DURATION_MAX, FAILOVER_COOLDOWN, FAILOVER_COOLDOWN_MAX, FAILOVER_THRESHOLD, HEALTHY_THRESHOLD,
    REQUEST_TIMEOUT, RESPONSE_HEAD_TIMEOUT, RETRY_ATTEMPTS, RETRY_ATTEMPTS_MAX, THRESHOLD_MAX,
    TIMEOUT_MIN, UNHEALTHY_THRESHOLD,
};

/// The outer `None` is an error; the inner one is "no checks".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn health_check(
    field: &Field<raw::HealthCheck>,
    cx: Context<'_>,
) -> Option<Option<HealthCheck>> {
    let raw = match &field.state {
        State::Absent => return Some(None),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let path = match &raw.path.state {
        State::Absent => Some("/health".to_owned()),
        State::Broken => None,
        State::Present(path) => check_path(raw.path.at, path, cx.report).then(|| path.clone()),
    };
    let host = host(&raw.host, cx);
    let thresholds = 1..=THRESHOLD_MAX;
    let status = count(&raw.expected_status, 200..=599, 200, cx.report);
    let healthy = count(&raw.healthy_threshold, thresholds.clone(), HEALTHY_THRESHOLD, cx.report);
    let unhealthy = count(&raw.unhealthy_threshold, thresholds, UNHEALTHY_THRESHOLD, cx.report);

    let range = CHECK_INTERVAL_MIN..=DURATION_MAX;
    let interval = seconds(&raw.interval_seconds, range.clone(), CHECK_INTERVAL, cx.report);
    let timeout = seconds(&raw.timeout_seconds, range.clone(), CHECK_TIMEOUT, cx.report);
    let usual_fast = CHECK_FAST_INTERVAL.min(interval.unwrap_or(CHECK_FAST_INTERVAL));
    let fast = seconds(&raw.fast_interval_seconds, range, usual_fast, cx.report);
    if let (Some(interval), Some(fast)) = (interval, fast)
        && fast > interval
    {
        let message = "the fast interval is longer than the interval";
        let help = format!("write a number up to {}", interval.as_secs_f64());
        cx.report.error(raw.fast_interval_seconds.at, message, help);
    }
    if let (Some(interval), Some(timeout)) = (interval, timeout)
        && timeout > interval
    {
        let at = if raw.timeout_seconds.is_absent() { field.at } else { raw.timeout_seconds.at };
        let message = format!(
            "a check may take {} s, longer than the interval of {} s",
            timeout.as_secs_f64(),
            interval.as_secs_f64(),
        );
        let help = "a region that hangs is found only after `timeout_seconds`; set it lower";
        cx.report.warning(at, message, help);
    }
    if raw.kind.is_broken() {
        return None;
    }
    Some(Some(HealthCheck {
        path: path?,
        host: host?,
        expected_status: u16::try_from(status?).ok()?,
        interval: interval?,
        timeout: timeout?,
        fast_interval: fast?,
        healthy_threshold: healthy?,
        unhealthy_threshold: unhealthy?,
    }))
}

#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn host(field: &Field<String>, cx: Context<'_>) -> Option<Option<String>> {
    match &field.state {
        State::Absent => Some(None),
        State::Broken => None,
        State::Present(host) => {
            let authority = host.parse::<http::uri::Authority>().ok();
            if authority.is_none_or(|authority| authority.as_str().contains('@')) {
                let message = format!("{} cannot be a Host header", Quoted(host));
                cx.report.error(field.at, message, "such as `api.example.com`");
                return None;
            }
            Some(Some(host.clone()))
        }
    }
}

pub(super) fn failover(field: &Field<raw::Failover>, cx: Context<'_>) -> Option<Failover> {
    let default = Failover {
        auto_failover_enabled: true,
        threshold: FAILOVER_THRESHOLD,
        cooldown: FAILOVER_COOLDOWN,
    };
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let threshold = count(&raw.failover_threshold, 1..=THRESHOLD_MAX, default.threshold, cx.report);
    let cooldown = seconds(
        &raw.failover_cooldown_seconds,
        std::time::Duration::ZERO..=FAILOVER_COOLDOWN_MAX,
        default.cooldown,
        cx.report,
    );
    if raw.auto_failover_enabled.is_broken() {
        return None;
    }
    Some(Failover {
        auto_failover_enabled: raw.auto_failover_enabled.value().copied().unwrap_or(true),
        threshold: threshold?,
        cooldown: cooldown?,
    })
}

pub(super) fn timeouts(field: &Field<raw::Timeouts>, cx: Context<'_>) -> Option<Timeouts> {
    let raw = match &field.state {
        State::Absent => {
            return Some(Timeouts {
                connect: CONNECT_TIMEOUT,
                first_byte: RESPONSE_HEAD_TIMEOUT,
                request: REQUEST_TIMEOUT,
            });
        }
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let range = TIMEOUT_MIN..=DURATION_MAX;
    let connect = seconds(&raw.connect_seconds, range.clone(), CONNECT_TIMEOUT, cx.report);
    let first_byte =
        seconds(&raw.first_byte_seconds, range.clone(), RESPONSE_HEAD_TIMEOUT, cx.report);
    let request = seconds(&raw.request_seconds, range, REQUEST_TIMEOUT, cx.report);
    for (part, field) in [(connect, &raw.connect_seconds), (first_byte, &raw.first_byte_seconds)] {
        // A default that is cut short by a shorter `request_seconds` is what was asked for.
        if !field.is_absent() && part.zip(request).is_some_and(|(part, request)| part > request) {
            let help = "make `request_seconds` longer, or this shorter";
            let message = "`request_seconds` ends a request before this timeout can";
            cx.report.warning(field.at, message, help);
        }
    }
    Some(Timeouts { connect: connect?, first_byte: first_byte?, request: request? })
}

pub(super) fn retries(field: &Field<raw::Retries>, cx: Context<'_>) -> Option<Retries> {
    let raw = match &field.state {
        State::Absent => {
            return Some(Retries {
                attempts: RETRY_ATTEMPTS,
                grpc_statuses: GrpcStatuses::UNAVAILABLE,
            });
        }
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let attempts = count(&raw.attempts, 0..=RETRY_ATTEMPTS_MAX, RETRY_ATTEMPTS, cx.report);
    let grpc_statuses = grpc_statuses(&raw.grpc_statuses, cx.report);
    if attempts == Some(0) && raw.grpc_statuses.value().is_some_and(|list| !list.is_empty()) {
        let message = "`grpc_statuses` has no effect with `attempts: 0`";
        cx.report.warning(raw.grpc_statuses.at, message, "remove it, or allow an attempt");
    }
    Some(Retries { attempts: attempts?, grpc_statuses: grpc_statuses? })
}
