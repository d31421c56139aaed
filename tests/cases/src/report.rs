//! What is told: each failure as it happens, then a table of all classes.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use crate::catalogue::Case;
use crate::expect::Expect;
use crate::verdict::Verdict;
use std::collections::BTreeMap;

pub(crate) struct Report {
    verbose: bool,
    /// Passed, failed and skipped of each class.
    classes: BTreeMap<String, [usize; 3]>,
    /// Why cases were skipped, and how many for each reason.
    skipped: BTreeMap<String, Vec<String>>,
}

impl Report {
    pub(crate) fn new(verbose: bool) -> Report {
        Report { verbose, classes: BTreeMap::new(), skipped: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, case: &Case, verdict: Verdict) {
        let counts = self.classes.entry(case.class.clone()).or_default();
        let [passed, failed, skipped] = counts;
        match verdict {
            Verdict::Passed(unchecked) => {
                *passed += 1;
                if self.verbose {
                    println!("passed  {}", case.id);
                    unchecked.iter().for_each(|clause| println!("          not checked by itself: {clause}"));
                }
            }
            Verdict::Failed(wrong) => {
                *failed += 1;
                println!("FAILED  {}  {}", case.id, short(&case.input));
                println!("          expected: {}", case.expect);
                wrong.iter().for_each(|wrong| println!("          {}", short(wrong)));
            }
            Verdict::Skipped(why) => {
                *skipped += 1;
                if self.verbose {
                    println!("skipped {}: {why}", case.id);
                }
                self.skipped.entry(why).or_default().push(case.id.clone());
            }
        }
    }

    /// The table. What is found after all cases counts as a failure.
    pub(crate) fn finish(&mut self, after: Vec<String>) {
        for wrong in after {
            println!("FAILED  after all cases: {wrong}");
            self.classes.entry("after all cases".to_owned()).or_default()[1] += 1;
        }
        println!();
        for (why, ids) in &self.skipped {
            println!("skipped because {why}: {}", ids.join(" "));
        }
        println!("\n{:<45}{:>8}{:>8}{:>8}", "class", "passed", "failed", "skipped");
        let mut sum = [0; 3];
        for (class, counts) in &self.classes {
            println!("{class:<45}{:>8}{:>8}{:>8}", counts[0], counts[1], counts[2]);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        println!("{:<45}{:>8}{:>8}{:>8}", "all", sum[0], sum[1], sum[2]);
    }

    pub(crate) fn has_failures(&self) -> bool {
        self.classes.values().any(|[_, failed, _]| *failed > 0)
    }
}

/// A case, and what is understood of its expectation.
pub(crate) fn list(case: &Case) {
    println!("{}  {}  {}", case.id, case.kind, short(&case.input));
    match Expect::read(&case.expect) {
        Ok(expect) => {
            println!("    fates {:?}, checks {:?}", expect.fates, expect.checks);
            expect.unchecked.iter().for_each(|clause| println!("    not checked by itself: {clause}"));
        }
        Err(why) => println!("    {why}"),
    }
}

/// As much of a text as one reads.
fn short(text: &str) -> String {
    const MOST: usize = 600;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(crate) fn complain(why: &str) {
    eprintln!("error: {why}");
}
