//! `issue`: the local tracker, as a person.

use std::io::Read as _;
use std::path::Path;

use pipeline_core::issue::Comment;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::Tracker as _;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::IssueArguments;
use super::arguments::IssueCommand;
use crate::config::model::TrackerKind;
use crate::surroundings::Surroundings;
use crate::terminal::Output;
use crate::terminal::Style;
use crate::terminal::escape;
use crate::terminal::escape_line;

/// The most text that is read from standard input.
const LONGEST: u64 = 1 << 20;

pub(super) async fn run(context: &Context, arguments: IssueArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    if workplace.config().tracker.kind != TrackerKind::Local {
        let text = "`issue` is for the local tracker: file, move and comment on this project's issues where they are";
        return Err(Failure::refused(text));
    }
    let actor = person(&context.around, arguments.login.as_deref())?;
    let tracker = LocalTracker::open(workplace.tracker_dir(), actor)?;
    let out = &context.out;
    match arguments.command {
        IssueCommand::New {
            title,
            body,
            labels,
            milestone,
            kind,
            priority,
        } => {
            let body = text(body)?;
            let draft = IssueDraft {
                title,
                body,
                labels,
                milestone,
                kind,
                priority,
            };
            let made = tracker.create_issue(&draft).await?;
            out.line(format!("issue {} filed by {}", made.key, tracker.actor()))?;
            out.result(&made)?;
        }
        IssueCommand::List { statuses } => list(&tracker, &statuses, out).await?,
        IssueCommand::Show { issue } => show(&tracker, &issue, out).await?,
        IssueCommand::Comment { issue, text: words } => {
            let comment = tracker.add_comment(&issue, &text(words)?).await?.value;
            out.line(format!(
                "comment {} on issue {issue} by {}",
                comment.id,
                tracker.actor()
            ))?;
            out.result(&comment)?;
        }
        IssueCommand::Move { issue, status } => {
            let to = tracker.status_named(&status).await?;
            tracker.move_to(&issue, &to).await?;
            out.line(format!(
                "issue {issue} moved to {} by {}",
                escape_line(&status),
                tracker.actor()
            ))?;
            out.result(&tracker.issue(&issue).await?.value)?;
        }
        IssueCommand::Attach { issue, file } => {
            let path = context.around.directory.join(&file);
            let content = std::fs::read(&path)?;
            let name = name_of(&file)?;
            let id = tracker.attach(&issue, &name, &content).await?;
            out.line(format!(
                "attachment {id} on issue {issue} by {}",
                tracker.actor()
            ))?;
            out.result(&serde_json::json!({ "attachment": id }))?;
        }
    }
    Ok(Exit::Done)
}

/// Returns the person who acts: the one named, else whoever is logged in.
pub(super) fn person(around: &Surroundings, login: Option<&str>) -> Result<Actor, Failure> {
    let login = match login {
        Some(login) => login.strip_prefix("person:").unwrap_or(login).to_owned(),
        None => whoever(around)?,
    };
    Actor::person(login).map_err(|error| Failure::new(Exit::Usage, error))
}

/// Returns the login of whoever is logged in.
pub(super) fn whoever(around: &Surroundings) -> Result<String, Failure> {
    let found = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| around.variable(name)?.to_str());
    let unknown = || {
        Failure::usage(
            "nobody can tell who you are: USER is not set, so name yourself with --as LOGIN",
        )
    };
    found.map(str::to_owned).ok_or_else(unknown)
}

fn text(words: String) -> Result<String, Failure> {
    if words != "-" {
        return Ok(words);
    }
    let mut read = String::new();
    std::io::stdin()
        .lock()
        .take(LONGEST + 1)
        .read_to_string(&mut read)?;
    if read.len() as u64 > LONGEST {
        return Err(Failure::usage(
            "the text on standard input is longer than 1 MiB",
        ));
    }
    Ok(read)
}

fn name_of(file: &Path) -> Result<String, Failure> {
    let name = file.file_name().and_then(|n| n.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| Failure::usage("the file's name is not UTF-8 text: rename it"))
}

async fn list(tracker: &LocalTracker, statuses: &[String], out: &Output) -> Result<(), Failure> {
    let mut query = IssueQuery::default();
    for name in statuses {
        query.statuses.push(tracker.status_named(name).await?);
    }
    let names = tracker.statuses().await?;
    let issues = tracker.list_issues(&query).await?.value;
    for issue in &issues {
        let status = names
            .name_of(&issue.status)
            .unwrap_or_else(|| issue.status.name());
        let labels = issue
            .labels
            .iter()
            .map(|l| format!(" [{}]", escape_line(l)))
            .collect::<String>();
        out.line(format!(
            "{:>4}  {status:<16}  {}{labels}",
            issue.key,
            escape_line(&issue.title)
        ))?;
    }
    if issues.is_empty() {
        out.line("no issues")?;
    }
    Ok(out.result(&issues)?)
}

#[derive(Debug, Serialize)]
struct Whole {
    issue: Issue,
    comments: Vec<Comment>,
    history: Vec<StatusEvent>,
}

async fn show(tracker: &LocalTracker, key: &IssueKey, out: &Output) -> Result<(), Failure> {
    let whole = Whole {
        issue: tracker.issue(key).await?.value,
        comments: tracker.comments(key).await?.value,
        history: tracker.history(key).await?.value,
    };
    let names = tracker.statuses().await?;
    let issue = &whole.issue;
    let title = format!("{}  {}", issue.key, escape_line(&issue.title));
    out.line(out.paint(Style::Bold, &title))?;
    let status = names
        .name_of(&issue.status)
        .unwrap_or_else(|| issue.status.name());
    out.line(format!("{status}, filed {}", issue.created))?;
    if !issue.body.is_empty() {
        out.line(format!("\n{}", escape(&issue.body)))?;
    }
    for attachment in &issue.attachments {
        out.line(format!(
            "attached: {} ({})",
            escape_line(&attachment.name),
            attachment.id
        ))?;
    }
    // One stream in the order things happened: ids of comments and events come from one sequence.
    let mut told: Vec<(u64, String)> = Vec::new();
    for comment in &whole.comments {
        let head = format!(
            "#{} {} wrote at {}",
            comment.id, comment.author.id, comment.created
        );
        let head = out.paint(Style::Faint, &escape_line(&head));
        told.push((comment.id.0, format!("\n{head}\n{}", escape(&comment.body))));
    }
    for event in &whole.history {
        let actor = event.actor.as_ref().map_or("somebody", |a| a.id.as_str());
        let to = names.name_of(&event.to).unwrap_or_else(|| event.to.name());
        let line = format!("#{} {actor} moved it to {to} at {}", event.id, event.at);
        told.push((
            event.id.0,
            format!("\n{}", out.paint(Style::Faint, &escape_line(&line))),
        ));
    }
    told.sort_by_key(|(id, _)| *id);
    for (_, text) in told {
        out.line(text)?;
    }
    Ok(out.result(&whole)?)
}
