//! What was used, added up.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::agent::Usage;
use crate::settings::Budget;

/// What runs have used together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Runs, ended or not.
    pub runs: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Money, in millionths of a US dollar, as far as agents tell.
    pub cost_micros: u64,
    /// Wall time, in milliseconds.
    pub millis: u64,
    /// Runs that used tokens and did not tell their price.
    pub unpriced: u64,
}

impl Spent {
    /// Returns tokens read and written.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    pub(super) const fn begin(&mut self) {
        self.runs += 1;
    }

    pub(super) fn add(&mut self, usage: &Usage) {
        self.input_tokens = self.input_tokens.saturating_add(usage.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(usage.output_tokens);
        self.millis = self.millis.saturating_add(usage.millis);
        match usage.cost_micros {
            Some(cost) => self.cost_micros = self.cost_micros.saturating_add(cost),
            None if usage.input_tokens + usage.output_tokens > 0 => self.unpriced += 1,
            None => {}
        }
    }

    /// Adds what others have used.
    pub(super) const fn join(&mut self, other: &Self) {
        self.runs = self.runs.saturating_add(other.runs);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
        self.millis = self.millis.saturating_add(other.millis);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
    }

    /// Returns the first part of a budget that is used up, in words: what, how much of it there is.
    pub(super) fn uses_up(&self, budget: &Budget) -> Option<(&'static str, String)> {
        let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        if let Some(most) = budget.runs.filter(|most| self.runs >= *most) {
            return Some(("runs", most.to_string()));
        }
        if let Some(most) = budget.tokens.filter(|most| self.tokens() >= *most) {
            return Some(("tokens", grouped(most)));
        }
        if let Some(most) = budget.cost_micros.filter(|most| self.cost_micros >= *most) {
            return Some(("money", dollars(most)));
        }
        let time = budget.time.filter(|most| self.millis >= millis(*most));
        time.map(|most| ("time", lasting(millis(most))))
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = if self.runs == 1 { "run" } else { "runs" };
        write!(f, "{} {runs}, {}", self.runs, lasting(self.millis))?;
        if self.tokens() > 0 {
            write!(
                f,
                ", {} tokens in and {} out",
                grouped(self.input_tokens),
                grouped(self.output_tokens)
            )?;
        }
        if self.cost_micros > 0 {
            write!(f, ", {}", dollars(self.cost_micros))?;
        }
        if self.unpriced > 0 {
            write!(f, " (and {} without a price)", self.unpriced)?;
        }
        Ok(())
    }
}

/// Returns what one run used, in words.
#[must_use]
pub fn used(usage: &Usage) -> String {
    let mut text = lasting(usage.millis);
    if usage.input_tokens + usage.output_tokens > 0 {
        text.push_str(&format!(
            ", {} tokens in and {} out",
            grouped(usage.input_tokens),
            grouped(usage.output_tokens)
        ));
    }
    if let Some(cost) = usage.cost_micros {
        text.push_str(&format!(", {}", dollars(cost)));
    }
    text
}

fn dollars(micros: u64) -> String {
    if micros < 1_000_000 && !micros.is_multiple_of(10_000) {
        // A run often costs less than a cent.
        return format!("$0.{:04}", micros.div_ceil(100));
    }
    let cents = micros.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn lasting(millis: u64) -> String {
    let seconds = millis.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_reads_well() {
        let mut spent = Spent::default();
        spent.begin();
        insta::assert_snapshot!(spent, @"1 run, 0s");
        spent.add(&Usage {
            input_tokens: 1_234_567,
            output_tokens: 999,
            cost_micros: Some(12_345),
            millis: 61_200,
        });
        spent.begin();
        spent.add(&Usage {
            input_tokens: 1,
            millis: 3_600_000,
            ..Usage::default()
        });
        insta::assert_snapshot!(spent, @"2 runs, 1h 1m, 1,234,568 tokens in and 999 out, $0.0124 (and 1 without a price)");
        insta::assert_snapshot!(dollars(2_500_000), @"$2.50");
        insta::assert_snapshot!(dollars(990_001), @"$0.9901");
    }
}
