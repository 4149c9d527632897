//! `review`: the merged diff that waits for an OK.

use std::sync::Arc;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::ReviewArguments;
use super::teller::Teller;
use crate::compose;
use crate::terminal::Style;
use crate::terminal::escape_line;

pub(super) async fn run(context: &Context, arguments: &ReviewArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    let reviews = composed
        .pipeline
        .review(arguments.candidate.as_deref())
        .await?;
    let out = &context.out;
    for review in &reviews {
        let candidate = &review.candidate;
        let head = format!(
            "candidate {} on {} at {}",
            candidate.id(),
            candidate.base.target,
            candidate.base.commit.short()
        );
        out.line(out.paint(Style::Bold, &escape_line(&head)))?;
        for commit in &candidate.commits {
            let subject = commit.message.lines().next().unwrap_or_default();
            out.line(format!(
                "  {:>4}  {}",
                commit.claim.issue,
                escape_line(subject)
            ))?;
            for path in &commit.touched {
                out.line(format!("          {}", escape_line(path)))?;
            }
            for path in &commit.drift {
                out.line(format!(
                    "          {} (outside the declared files)",
                    escape_line(path)
                ))?;
            }
        }
        let verified = match &candidate.verification {
            Some(v) if v.verified => format!("verified at {}", v.at),
            Some(_) => "not verified: no command is configured in [verify]".to_owned(),
            None => "not verified yet".to_owned(),
        };
        out.line(format!("  {verified}"))?;
        for hold in &review.holds {
            out.line(format!(
                "  {}",
                out.paint(Style::Warn, &format!("held: {}", escape_line(hold)))
            ))?;
        }
        if !arguments.stat {
            out.line("")?;
            out.raw(review.diff.as_bytes())?;
            out.line("")?;
        }
        out.line(format!("to approve: {}", escape_line(&review.how)))?;
    }
    if reviews.is_empty() {
        out.line("nothing waits for an OK")?;
    }
    out.result(&reviews)?;
    Ok(Exit::Done)
}
