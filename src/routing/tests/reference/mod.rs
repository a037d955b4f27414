//! The decision against a second implementation, written from the words of the documentation
//! alone: slow, in strings and lists, with nothing in common but the configuration.
//!
//! ```text
//! bytes ── generate ──> World, Asked ──┬── expected (asks the oracle of hashes) ──> Answer ─┐
//!                                      └── table, facts ── decide, explain, permits ────────┴─ compare
//! ```

mod compare;
mod dice;
mod expected;
mod generate;
mod hashes;
mod oracle;
mod world;

use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::oracle::Oracle;

/// Requests to each world.
const REQUESTS: usize = 20;

fn run(worlds: u32) {
    let oracle = Oracle::default();
    let config = Config { cases: worlds, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&generate::case(REQUESTS), |(world, asked)| {
        let table = world.table();
        for asked in &asked {
            let answer = expected::expected(&world, asked, &oracle);
            compare::agree(&world, &table, asked, &answer).map_err(|error| {
                TestCaseError::fail(format!("{error}\nasked {asked:#?}\nexpected {answer:#?}"))
            })?;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn a_decision_is_what_the_documentation_says() {
    run(3_000);
}

#[test]
#[ignore = "takes minutes; a million requests"]
fn a_million_decisions_are_what_the_documentation_says() {
    run(100_000);
}
