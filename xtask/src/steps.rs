//! A list of checks that all get their turn: each is announced, timed and remembered, and one line closes the list.
//!
//! A check that fails does not stop the others, so that one run shows everything that is wrong.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What has been run so far.
pub struct Steps {
    begun: Instant,
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    passed: bool,
}

impl Steps {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Runs one check, and tells whether it passed.
    pub fn run(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) -> bool {
        println!("\n== {name}");
        let begun = Instant::now();
        let result = check();
        let took = begun.elapsed();
        match &result {
            Ok(()) => println!("== {name}: passed in {:.1} s", took.as_secs_f64()),
            Err(error) => println!(
                "== {name}: FAILED in {:.1} s: {error:#}",
                took.as_secs_f64()
            ),
        }
        let passed = result.is_ok();
        self.done.push(Step { name, took, passed });
        passed
    }

    /// The time of each check and the closing line; an error when one failed.
    pub fn finish(self) -> Result<()> {
        println!();
        for step in &self.done {
            let mark = if step.passed { "passed" } else { "FAILED" };
            println!("{:>8.1} s  {mark}  {}", step.took.as_secs_f64(), step.name);
        }
        let failed: Vec<&str> = (self.done.iter().filter(|step| !step.passed))
            .map(|step| step.name)
            .collect();
        let (all, seconds) = (self.done.len(), self.begun.elapsed().as_secs_f64());
        if !failed.is_empty() {
            bail!(
                "{} of {all} checks failed in {seconds:.0} s: {}",
                failed.len(),
                failed.join(", ")
            );
        }
        println!("xtask: all {all} checks passed in {seconds:.0} s");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::Steps;

    #[test]
    fn a_failing_check_does_not_stop_the_others_and_is_named_at_the_end() {
        let mut steps = Steps::new();
        assert!(!steps.run("fmt", || bail!("unformatted")));
        assert!(steps.run("tidy", || Ok(())));
        let error = steps.finish().expect_err("one failed").to_string();
        assert!(error.starts_with("1 of 2 checks failed"), "{error}");
        assert!(error.ends_with(": fmt"), "{error}");
    }

    #[test]
    fn a_list_without_failures_is_a_success() {
        let mut steps = Steps::new();
        assert!(steps.run("fmt", || Ok(())));
        assert!(steps.finish().is_ok());
    }
}
