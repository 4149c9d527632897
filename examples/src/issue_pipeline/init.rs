//! `init`: writes the configuration, every key commented, and makes what it names.

use std::path::Path;
use std::path::PathBuf;

use pipeline_core::workspace::Target;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;
use serde::Serialize;
use toml_edit::Array;
use toml_edit::InlineTable;
use toml_edit::Value;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::InitArguments;
use super::exit::one_line;
use super::issue::whoever;
use crate::compose;
use crate::config;
use crate::config::Config;
use crate::config::Loaded;
use crate::config::model::Place;
use crate::config::model::TrackerKind;
use crate::config::template::Draft;
use crate::sandbox;
use crate::surroundings::FoundRepository;
use crate::surroundings::StateDir;
use crate::workplace::Workplace;

#[derive(Debug, Serialize)]
struct Report {
    config: PathBuf,
    state: PathBuf,
    repository: Option<PathBuf>,
    target: Option<String>,
    approvers: Vec<String>,
    agent: String,
    notes: Vec<String>,
}

pub(super) async fn run(context: &Context, arguments: InitArguments) -> Result<Exit, Failure> {
    let path = context.config_path()?;
    if path.exists() && !arguments.force {
        let text = format!(
            "there is a configuration already: {} (--force replaces it)",
            path.display()
        );
        return Err(Failure::refused(text));
    }
    let repository = context.around.repository();
    let state = match &arguments.state {
        Some(dir) => StateDir::at(context.around.directory.join(dir)),
        None => context.default_state()?,
    };
    state.prepare()?;
    let mut notes = Vec::new();
    let mut chosen = Chosen::of(context, &arguments, repository.as_ref(), &mut notes)?;
    chosen.name = name(
        context,
        repository.as_ref(),
        &state,
        chosen.target.as_deref(),
    )
    .await?;
    let mut draft = chosen.draft(&arguments).map_err(Failure::usage)?;
    if arguments.tracker != TrackerKind::Local {
        // Asked before anything is written: a wrong credential leaves no half of a configuration.
        ask(context, &path, &mut draft).await?;
    }
    let text = draft.finish();
    let config = parsed(&text)?;
    notes.extend(
        state
            .concerns(&context.around, repository.as_ref())
            .into_iter()
            .map(|c| format!("state directory: {c}")),
    );
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    write_closed(&path, &text)?;
    let workplace = context.workplace()?;
    if config.tracker.kind == TrackerKind::Local {
        let names = &config.tracker.statuses;
        let statuses = LocalStatuses::new(
            &names.open,
            &names.spec_review,
            &names.in_progress,
            names.others.iter(),
        )
        .map_err(|error| Failure::new(Exit::Usage, error))?;
        LocalTracker::init(workplace.tracker_dir(), &statuses)?;
    }
    let opened = compose::tracker::open(&workplace, &context.around).await;
    let opened = opened.map_err(|error| Failure::new(Exit::Failed, error))?;
    if let Err(error) = compose::watermark(&workplace.state, &*opened.tracker).await {
        notes.push(format!("the tracker is not ready: {}", one_line(&error)));
    }
    let report = Report {
        config: path,
        state: state.path().to_owned(),
        repository: repository.map(|r| r.root),
        target: chosen.target,
        approvers: chosen.approvers,
        agent: chosen.agent_name,
        notes,
    };
    tell(context, &report)?;
    context.out.result(&report)?;
    Ok(Exit::Done)
}

fn parsed(text: &str) -> Result<Config, Failure> {
    config::parse(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    })
}

/// Asks the server what only it knows, and writes it down: the account the credential belongs to, the ids of labels.
async fn ask(context: &Context, path: &Path, draft: &mut Draft) -> Result<(), Failure> {
    let loaded = Loaded {
        config: parsed(&draft.clone().finish())?,
        path: path.to_owned(),
    };
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::usage(format!("nothing was written: {}", one_line(error)))
    };
    let workplace = Workplace::of(loaded, &context.around).map_err(|e| failed(&e))?;
    let opened = compose::tracker::open(&workplace, &context.around).await;
    let opened = opened.map_err(|e| failed(&e))?;
    let me = opened.tracker.me().await.map_err(|e| failed(&e))?;
    let accounts = array(&[me.value.id]);
    draft
        .set("tracker", "accounts", accounts)
        .map_err(Failure::usage)?;
    if workplace.config().tracker.kind == TrackerKind::Gitlab {
        let facts = compose::tracker::gitlab_facts(&workplace, &context.around).await;
        let (root, ids) = facts.map_err(|e| failed(&e))?;
        if !root.is_empty() {
            draft
                .set("tracker.gitlab", "root", root)
                .map_err(Failure::usage)?;
        }
        let all = [
            ("open", ids.open),
            ("spec_review", ids.spec_review),
            ("in_progress", ids.in_progress),
        ];
        for (key, id) in all {
            if let Some(id) = id.and_then(|id| i64::try_from(id).ok()) {
                draft
                    .set("tracker.gitlab.label_ids", key, id)
                    .map_err(Failure::usage)?;
            }
        }
    }
    Ok(())
}

/// Writes a file only its owner may read: it names approvers and commands.
fn write_closed(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

fn tell(context: &Context, report: &Report) -> Result<(), Failure> {
    let out = &context.out;
    out.line(format!("configuration  {}", report.config.display()))?;
    out.line(format!("state          {}", report.state.display()))?;
    match (&report.repository, &report.target) {
        (Some(root), Some(target)) => out.line(format!(
            "repository     {}, work lands on {target}",
            root.display()
        ))?,
        (Some(root), None) => out.line(format!("repository     {}", root.display()))?,
        (None, _) => out.line("repository     none here: only triage will work")?,
    }
    out.line(format!("approvers      {}", report.approvers.join(", ")))?;
    for note in &report.notes {
        out.line(format!("note: {note}"))?;
    }
    out.line("\nnext:")?;
    out.line("  issue-pipeline doctor                      checks it all")?;
    out.line("  issue-pipeline issue new \"…\"               files an issue")?;
    out.line("  issue-pipeline triage && issue-pipeline check")?;
    out.line("  issue-pipeline issue move KEY 'In progress'  is yours: it starts the work")?;
    Ok(out.line("  issue-pipeline dispatch && issue-pipeline integrate && issue-pipeline review")?)
}

/// Returns what the repository is called in work-start memos: the same on every machine that works on it.
async fn name(
    context: &Context,
    repository: Option<&FoundRepository>,
    state: &StateDir,
    target: Option<&str>,
) -> Result<Option<String>, Failure> {
    let (Some(found), Some(target)) = (repository, target) else {
        return Ok(None);
    };
    let target = Target::new(target).map_err(|why| Failure::usage(format!("{target}: {why}")))?;
    let git = compose::repository::git(&context.around, found, state).await?;
    let identity = git.identity(&target).await;
    identity.map_err(|error| Failure::new(Exit::Failed, error))
}

struct Chosen {
    name: Option<String>,
    repository: Option<PathBuf>,
    state: Option<PathBuf>,
    target: Option<String>,
    approvers: Vec<String>,
    agent_name: String,
    command: Vec<String>,
    unconfined: bool,
    verify: Vec<Vec<String>>,
    owner_folder: Option<PathBuf>,
    oauth_tokens: Option<PathBuf>,
}

impl Chosen {
    fn of(
        context: &Context,
        arguments: &InitArguments,
        repository: Option<&FoundRepository>,
        notes: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let absolute = |path: &PathBuf| context.around.directory.join(path);
        let command = command(context, &arguments.agent, "--agent")?;
        let agent_name = match &arguments.agent_name {
            Some(name) => name.clone(),
            None => name_of_program(&command),
        };
        if arguments.approvers.is_empty() && arguments.tracker != TrackerKind::Local {
            let text =
                "name who may start issues and give the OK: --approver @LOGIN, or the account's id";
            return Err(Failure::usage(text));
        }
        let approvers = if arguments.approvers.is_empty() {
            vec![format!("person:{}", whoever(&context.around)?)]
        } else {
            arguments.approvers.clone()
        };
        let target = match (&arguments.target, repository) {
            (Some(target), _) => Some(target.clone()),
            (None, Some(found)) => {
                let branch = checked_out(found);
                if branch.is_none() {
                    notes
                        .push("no branch is checked out: name one in [targets] default".to_owned());
                }
                branch
            }
            (None, None) => None,
        };
        let verify = arguments
            .verify
            .iter()
            .map(|text| words(text, "--verify"))
            .collect::<Result<Vec<_>, _>>()?;
        if verify.is_empty() {
            notes.push(
                "nothing checks a merged tree yet: name your tests in [verify] commands".to_owned(),
            );
        }
        let unconfined = !sandbox::is_there(&context.around);
        if unconfined {
            notes.push(
                "no sandbox is installed here (bubblewrap on Linux), so the agent was written down as unconfined: \
                 what it runs can read your files, and memos will say so"
                    .to_owned(),
            );
        }
        Ok(Self {
            name: None,
            repository: repository.map(|r| r.root.clone()),
            state: arguments.state.as_ref().map(absolute),
            target,
            approvers,
            agent_name,
            command,
            unconfined,
            verify,
            owner_folder: arguments.owner_folder.as_ref().map(absolute),
            oauth_tokens: arguments.oauth_tokens.as_ref().map(absolute),
        })
    }

    fn draft(&self, arguments: &InitArguments) -> Result<Draft, String> {
        let mut draft = Draft::default();
        let agent = format!("agents.{}", self.agent_name);
        draft.name_agent(&self.agent_name)?;
        draft.set(&agent, "kind", "command")?;
        draft.set(&agent, "command", array(&self.command))?;
        draft.set(
            &agent,
            "author",
            format!("{name} <{name}@localhost>", name = self.agent_name),
        )?;
        let files: Vec<String> = self
            .command
            .iter()
            .filter(|w| Path::new(w).is_absolute())
            .cloned()
            .collect();
        if !files.is_empty() {
            draft.set(&agent, "read", array(&files))?;
        }
        if self.unconfined {
            draft.set(&agent, "unconfined", true)?;
        }
        for (section, dir) in [("repository", &self.repository), ("state", &self.state)] {
            if let Some(dir) = dir {
                draft.set(section, "dir", text(dir)?)?;
            }
        }
        if let Some(name) = &self.name {
            draft.set("repository", "name", name.as_str())?;
        }
        if let Some(target) = &self.target {
            draft.set("targets", "default", target.as_str())?;
        }
        tracker(arguments, self.oauth_tokens.as_deref(), &mut draft)?;
        draft.set("gates", "approvers", array(&self.approvers))?;
        let place = match arguments.local_ok {
            Place::Terminal => "terminal",
            Place::Owner => "owner",
            Place::Tracker => "tracker",
        };
        draft.set("gates", "local_ok", place)?;
        if let Some(folder) = &self.owner_folder {
            draft.set("gates", "owner_folder", text(folder)?)?;
        }
        let slots: Vec<String> = (1..=arguments.workers)
            .map(|n| format!("{}-{n}", self.agent_name))
            .collect();
        draft.set("workers", "slots", array(&slots))?;
        if !self.verify.is_empty() {
            draft.set("verify", "commands", checks(&self.verify))?;
        }
        Ok(draft)
    }
}

/// Writes down which tracker it is, where its project is, and where its credential is.
fn tracker(
    arguments: &InitArguments,
    oauth_tokens: Option<&Path>,
    draft: &mut Draft,
) -> Result<(), String> {
    let (kind, variable, statuses) = match arguments.tracker {
        TrackerKind::Local => return draft.set("tracker", "kind", "local"),
        TrackerKind::Gitlab => ("gitlab", "GITLAB_API_TOKEN", GITLAB_STATUSES),
        TrackerKind::Backlog => ("backlog", "BACKLOG_API_KEY", BACKLOG_STATUSES),
    };
    let project = arguments.project.as_deref();
    let project = project.ok_or("name the project: --project URL, as people open it")?;
    let variable = arguments.token_env.as_deref().unwrap_or(variable);
    draft.set("tracker", "kind", kind)?;
    match project.strip_prefix("env:") {
        Some(name) => draft.set("tracker", "project", in_variable(name))?,
        None => draft.set("tracker", "project", project)?,
    }
    match oauth_tokens {
        None => draft.set("tracker", "token", in_variable(variable))?,
        Some(file) => {
            let section = "tracker.backlog.oauth";
            draft.set(section, "client_id", in_variable("BACKLOG_CLIENT_ID"))?;
            draft.set(
                section,
                "client_secret",
                in_variable("BACKLOG_CLIENT_SECRET"),
            )?;
            draft.set(section, "tokens", text(file)?)?;
        }
    }
    for (key, name) in ["open", "spec_review", "in_progress"]
        .into_iter()
        .zip(statuses)
    {
        draft.set("tracker.statuses", key, name)?;
    }
    Ok(())
}

/// Scoped labels, so that paid instances keep one of them on an issue by themselves.
const GITLAB_STATUSES: [&str; 3] = ["status::open", "status::spec review", "status::in progress"];

/// The service's own English spelling of its built-in ones, and the one a team adds.
const BACKLOG_STATUSES: [&str; 3] = ["Open", "Spec/log review", "In Progress"];

fn in_variable(name: &str) -> Value {
    let mut table = InlineTable::new();
    table.insert("env", name.into());
    table.into()
}

fn checks(commands: &[Vec<String>]) -> Value {
    let checks = commands.iter().enumerate().map(|(i, words)| {
        let mut check = InlineTable::new();
        let name = if commands.len() == 1 {
            "tests".to_owned()
        } else {
            format!("check {}", i + 1)
        };
        check.insert("name", name.into());
        check.insert("run", array(words).into());
        Value::from(check)
    });
    checks.collect::<Array>().into()
}

fn array(words: &[String]) -> Array {
    words.iter().map(String::as_str).collect()
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("the path {} is not UTF-8 text", path.display()))
}

fn words(text: &str, option: &str) -> Result<Vec<String>, Failure> {
    match shlex::split(text) {
        Some(words) if words.first().is_some_and(|w| !w.is_empty()) => Ok(words),
        _ => Err(Failure::usage(format!(
            "{option} is no command: quote it as in a shell"
        ))),
    }
}

/// Splits a command and makes files named relative to here absolute: the agent starts elsewhere.
fn command(context: &Context, text: &str, option: &str) -> Result<Vec<String>, Failure> {
    let here = |word: &String| {
        let path = Path::new(word);
        let named = path.is_relative()
            && !word.starts_with('-')
            && context.around.directory.join(path).is_file();
        let absolute = std::path::absolute(context.around.directory.join(path)).ok()?;
        named
            .then(|| absolute.to_str().map(str::to_owned))
            .flatten()
    };
    let mut words = words(text, option)?;
    for (i, word) in words.iter_mut().enumerate() {
        // A bare program name is looked for in PATH, as a shell would, even if a file here is called the same.
        if (i > 0 || word.contains('/'))
            && let Some(absolute) = here(word)
        {
            *word = absolute;
        }
    }
    let program = words.first().map_or("", String::as_str);
    if context.around.find_program(program).is_none() {
        let text =
            format!("{option}: there is no program `{program}`: install it or give its path");
        return Err(Failure::usage(text));
    }
    Ok(words)
}

fn name_of_program(command: &[String]) -> String {
    let interpreters = [
        "sh", "bash", "python3", "python", "node", "ruby", "perl", "env",
    ];
    let stem = |word: &String| {
        Path::new(word)
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
    };
    let names = command
        .iter()
        .filter(|w| !w.starts_with('-'))
        .filter_map(stem);
    let name = names
        .into_iter()
        .find(|n| !interpreters.contains(&n.as_str()));
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = name
        .unwrap_or_default()
        .chars()
        .take(32)
        .map(plain)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "agent".to_owned()
    } else {
        name.to_owned()
    }
}

/// Returns the branch a working tree has checked out, by its short name.
fn checked_out(found: &FoundRepository) -> Option<String> {
    let dot_git = found.root.join(".git");
    let git_dir = match std::fs::read_to_string(&dot_git) {
        Ok(text) => found.root.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => dot_git,
    };
    let head = std::fs::read_to_string(git_dir.join("HEAD")).ok()?;
    head.trim()
        .strip_prefix("ref: refs/heads/")
        .map(str::to_owned)
}
