//! `review`: the merged diff that waits for an OK.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipeline_core::gate::ok_comment;
use pipeline_core::protected::Hold;
use pipeline_core::stages::Review;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::ReviewArguments;
use super::teller::Teller;
use crate::compose;
use crate::config::model::Place;
use crate::terminal::Style;
use crate::terminal::escape_line;

pub(super) async fn run(context: &Context, arguments: &ReviewArguments) -> Result<Exit, Failure> {
    let (pipeline, place) = if arguments.owner {
        (compose::of_repository(&context.around).await?, Place::Owner)
    } else {
        let workplace = context.workplace()?;
        let teller = Teller::new(workplace.name(), context.out.progress().clone());
        let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
        (composed.pipeline, workplace.config().gates.local_ok)
    };
    let reviews = pipeline.review(arguments.candidate.as_deref()).await?;
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
        let how = how(place, review);
        out.line(format!("to approve: {}", escape_line(&how)))?;
    }
    if reviews.is_empty() {
        out.line("nothing waits for an OK")?;
    }
    out.result(&reviews)?;
    Ok(Exit::Done)
}

/// Returns what a person does to give the OK, at the place where it is given here.
fn how(place: Place, review: &Review) -> String {
    let id = review.candidate.id();
    let options: BTreeSet<String> = review.candidate.holds().map(Hold::lifted_by).collect();
    let options: String = options.iter().map(|option| format!(" {option}")).collect();
    match place {
        Place::Tracker => {
            let comment = ok_comment(&review.candidate);
            format!("an approver writes this comment in one of its issues: {comment}")
        }
        Place::Terminal => format!("issue-pipeline approve {id}{options}"),
        Place::Owner => {
            format!(
                "as the owner of the folder: issue-pipeline approve {id}{options} --owner-folder DIR"
            )
        }
    }
}
