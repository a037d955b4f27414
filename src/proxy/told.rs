//! A decision in one line, for the response header of whoever may see it.
//!
//! The steps are the ones that the decision itself recorded; nothing is worked out again.

use std::fmt::Write;

use http::HeaderValue;

use crate::model::limits::DECISION_HEADER_BYTES;
use crate::routing::{Decision, Refusal, Step, StepRecord, Table};

/// Stands where the rest does not fit.
const CUT: &str = " ...";

/// What a decision came to, and each step that led there.
pub(super) fn line(
    table: &Table,
    outcome: &Result<Decision, Refusal>,
    steps: &[StepRecord],
) -> String {
    let mut line = String::with_capacity(512);
    // Writing to a string cannot fail.
    let _ = summary(&mut line, table, outcome);
    for record in steps.iter().filter(|record| record.step != Step::Deployment) {
        let _ = step(&mut line, record);
    }
    line
}

fn summary(
    line: &mut String,
    table: &Table,
    outcome: &Result<Decision, Refusal>,
) -> std::fmt::Result {
    let index = match outcome {
        Ok(decision) => Some(decision.deployment),
        Err(refusal) => refusal.deployment,
    };
    let deployment = index.and_then(|index| table.plan.deployment(index));
    let name = deployment.map_or("-", |deployment| deployment.name.as_str());
    write!(line, "deployment={name}")?;
    match outcome {
        Ok(decision) => {
            let position = decision.order.first();
            let region = position.and_then(|position| deployment?.region(*position));
            if let Some(region) = region {
                write!(line, " region={}", region.id)?;
            }
            write!(line, " reason={}", decision.reason.as_str())?;
            if let Some(rule) = decision.rule.and_then(|rule| deployment?.rule(rule)) {
                write!(line, " rule={}", rule.id)?;
            }
        }
        Err(refusal) => write!(line, " refused={}", refusal.reason())?,
    }
    write!(line, " generation={}", table.generation)
}

/// `; step=left,over -dropped(why)`
fn step(line: &mut String, record: &StepRecord) -> std::fmt::Result {
    write!(line, "; {}=", record.step.as_str())?;
    for (place, region) in record.regions.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(line, "{comma}{region}")?;
    }
    for dropped in &record.dropped {
        write!(line, " -{}({})", dropped.region, dropped.why)?;
    }
    Ok(())
}

/// The line as a header's value: what no header may have is replaced, what is too long is cut.
pub(super) fn header(line: &str) -> Option<HeaderValue> {
    let visible = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    let mut text: String = line.chars().map(visible).collect();
    if text.len() > DECISION_HEADER_BYTES {
        text.truncate(DECISION_HEADER_BYTES - CUT.len());
        text.push_str(CUT);
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_told_is_a_header_of_bounded_length() {
        assert_eq!(header("a=b; c").unwrap(), "a=b; c");
        assert_eq!(header("a\r\nb\u{e9}\u{7f}").unwrap(), "a??b??");
        let long = header(&"x".repeat(10_000)).unwrap();
        assert_eq!(long.len(), DECISION_HEADER_BYTES);
        assert!(long.to_str().unwrap().ends_with("x ..."));
    }
}
