//! What recording a real Authentik brought to light, each point that touches the bridge: a row of
//! `tests/COVERAGE.md` that names a test, and the test is there.

use super::sources;
use std::collections::BTreeSet;

/// The points of the recordings that issue 5 makes requirements.
fn required() -> BTreeSet<u32> {
    let ranges = [1..=1, 9..=20, 22..=25, 27..=35, 37..=41];
    ranges.into_iter().flatten().collect()
}

/// Rows of the tables about Authentik: their numbers, and what covers them.
fn rows(coverage: &str) -> Vec<(Vec<u32>, &str)> {
    let sections = coverage
        .split("\n## ")
        .filter(|s| s.starts_with("Authentik"));
    let lines = sections.flat_map(str::lines);
    lines
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.splitn(3, " | ");
            let numbers = cells.next()?.split(", ").map(|n| n.parse().ok());
            let numbers: Option<Vec<u32>> = numbers.collect();
            Some((numbers?, cells.nth(1)?))
        })
        .collect()
}

/// Texts between backticks that look like names of tests.
fn tests_of(cell: &str) -> impl Iterator<Item = &str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.len() > 12 && text.contains('_') && !text.contains(['/', ' ', '.']))
}

#[test]
fn every_recorded_difference_that_touches_us_is_held_by_a_test() {
    let coverage = include_str!("../COVERAGE.md");
    let rows = rows(coverage);
    let named: BTreeSet<u32> = rows
        .iter()
        .flat_map(|(numbers, _)| numbers.clone())
        .collect();
    let missing: Vec<_> = required().difference(&named).copied().collect();
    assert!(missing.is_empty(), "no row about {missing:?}");
    let texts: Vec<String> = ["src", "tests"]
        .into_iter()
        .flat_map(sources)
        .map(|(_, text)| text)
        .collect();
    for number in required() {
        let cells: Vec<_> = rows
            .iter()
            .filter(|(numbers, _)| numbers.contains(&number))
            .map(|(_, cell)| *cell)
            .collect();
        let mut names = cells.iter().flat_map(|cell| tests_of(cell)).peekable();
        assert!(names.peek().is_some(), "{number}: {cells:?} names no test");
        for name in names {
            let there = format!("fn {name}(");
            assert!(
                texts.iter().any(|text| text.contains(&there)),
                "{number}: there is no test {name}"
            );
        }
    }
}
