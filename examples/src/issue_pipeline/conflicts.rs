//! `conflicts`: which issues meet, why, and in which batches they can run; and a look at a team's rules.

use std::io::IsTerminal as _;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use pipeline_core::conflict::ConflictDetector;
use pipeline_core::conflict::RuleConflicts;
use pipeline_core::conflict::RuleFile;
use pipeline_core::conflict::RuleSet;
use pipeline_core::conflict::lint;
use pipeline_core::conflict::report;
use pipeline_core::conflict::report::IssueLine;
use pipeline_core::conflict::report::Report;
use pipeline_core::footprint::RepoPath;
use pipeline_git::Repository;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::CheckRulesArguments;
use super::arguments::ConflictsArguments;
use super::arguments::ConflictsCommand;
use super::arguments::RulesArguments;
use super::teller::Teller;
use crate::compose;
use crate::compose::learn;
use crate::surroundings::FoundRepository;
use crate::surroundings::StateDir;
use crate::terminal::escape;
use crate::terminal::escape_line;

/// The most bytes of issues, or of rules, that are read.
const LARGEST: u64 = 256 << 20;

pub(super) async fn run(context: &Context, arguments: ConflictsArguments) -> Result<Exit, Failure> {
    if let Some(ConflictsCommand::CheckRules(arguments)) = &arguments.command {
        return check_rules(context, arguments).await;
    }
    let report = match given(context, &arguments)? {
        Some(issues) => of_lines(context, &issues, &arguments.rules).await?,
        None => current(context, &arguments.rules).await?,
    };
    context.out.line(escape(&report.to_string()).trim_end())?;
    context.out.result(&report)?;
    Ok(Exit::Done)
}

/// Returns the issues that were given as JSON lines, if any were.
fn given(
    context: &Context,
    arguments: &ConflictsArguments,
) -> Result<Option<Vec<IssueLine>>, Failure> {
    let text = match arguments.issues.as_deref() {
        Some(path) if path.as_os_str() != "-" => {
            let path = context.around.directory.join(path);
            read(std::fs::File::open(&path).map_err(|error| {
                Failure::usage(format!("{} cannot be read: {error}", path.display()))
            })?)?
        }
        Some(_) => read(std::io::stdin().lock())?,
        None if arguments.current || !is_piped() => return Ok(None),
        None => read(std::io::stdin().lock())?,
    };
    report::read_lines(&text)
        .map(Some)
        .map_err(|error| Failure::new(Exit::Usage, error))
}

fn read(from: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::usage("the input is larger than 256 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("the input is no UTF-8 text (byte {at})"))
    })
}

/// Returns whether something is fed to standard input: a pipe, a file or a socket, but neither a terminal nor nothing.
fn is_piped() -> bool {
    use rustix::fs::FileType;
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return false;
    }
    rustix::fs::fstat(&stdin).is_ok_and(|found| {
        matches!(
            FileType::from_raw_mode(found.st_mode),
            FileType::Fifo | FileType::RegularFile | FileType::Socket
        )
    })
}

async fn current(context: &Context, rules: &RulesArguments) -> Result<Report, Failure> {
    if rules.repo.is_some() || rules.rules.is_some() {
        return Err(Failure::usage(
            "--repo and --rules are for issues given as JSON lines: the current issues are judged by [conflicts] of \
             the configuration",
        ));
    }
    let workplace = context.workplace()?;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    Ok(composed.pipeline.conflict_report().await?)
}

async fn of_lines(
    context: &Context,
    issues: &[IssueLine],
    arguments: &RulesArguments,
) -> Result<Report, Failure> {
    let file = match &arguments.rules {
        Some(path) => rules_file(context, path)?.1,
        None => RuleFile::default(),
    };
    let repository = match &arguments.repo {
        Some(dir) => Some(Opened::open(context, dir).await?),
        None => None,
    };
    let listing = match &repository {
        Some(repository) => repository.files().await?,
        None => Vec::new(),
    };
    let rules = rule_set(&file, &listing)?;
    let mut detectors: Vec<(String, RuleConflicts)> = Vec::new();
    for issue in issues {
        if detectors.iter().any(|(known, _)| *known == issue.target) {
            continue;
        }
        let mut detector = rules.detector(&issue.target).map_err(unusable)?;
        let mut coupling = rules.coupling().clone();
        coupling.enabled |= arguments.coupling;
        if let (true, Some(repository)) = (coupling.enabled, &repository) {
            let learned = learn(&repository.git, &repository.state, "HEAD", &coupling).await;
            detector = detector.with_coupling(learned.map_err(|e| Failure::new(Exit::Failed, e))?);
        }
        detectors.push((issue.target.clone(), detector));
    }
    Ok(Report::by_target(issues, |target| {
        let found = detectors.iter().find(|(known, _)| known == target);
        found.map(|(_, detector)| detector as &dyn ConflictDetector)
    }))
}

/// What `check-rules` found.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    findings: Vec<lint::Finding>,
}

async fn check_rules(context: &Context, arguments: &CheckRulesArguments) -> Result<Exit, Failure> {
    let (name, file) = rules_file(context, &arguments.file)?;
    let listing = match &arguments.repo {
        Some(dir) => Opened::open(context, dir).await?.files().await?,
        None => Vec::new(),
    };
    let rules = rule_set(&file, &listing)?;
    let findings = lint::check(&file, &rules, &listing).map_err(unusable)?;
    for finding in &findings {
        context.out.line(escape_line(&finding.to_string()))?;
    }
    if findings.is_empty() {
        context
            .out
            .line("every rule does something, and none contradicts another")?;
    }
    let exit = if findings.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    context.out.result(&Checked {
        file: name,
        findings,
    })?;
    Ok(exit)
}

fn rules_file(context: &Context, path: &Path) -> Result<(String, RuleFile), Failure> {
    let path = context.around.directory.join(path);
    let name = path.display().to_string();
    let text = std::fs::File::open(&path)
        .map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))
        .and_then(read)?;
    let file = RuleFile::parse(&text, &name).map_err(unusable)?;
    Ok((name, file))
}

fn rule_set(file: &RuleFile, listing: &[RepoPath]) -> Result<RuleSet, Failure> {
    RuleSet::new(file, listing).map_err(unusable)
}

fn unusable(error: pipeline_core::conflict::RulesError) -> Failure {
    Failure::new(Exit::Usage, error)
}

/// A repository that is only read, with the state directory in which its history is remembered.
struct Opened {
    git: Repository,
    state: StateDir,
}

impl Opened {
    async fn open(context: &Context, dir: &Path) -> Result<Self, Failure> {
        let dir = context.around.directory.join(dir);
        let found = FoundRepository::around(&dir);
        let found = found
            .ok_or_else(|| Failure::usage(format!("{} is in no git repository", dir.display())))?;
        let state = StateDir::default_for(&context.around, Some(&found))?;
        state.prepare()?;
        let git = compose::repository::git(&context.around, &found, &state).await?;
        Ok(Self { git, state })
    }

    /// Returns the files of what is checked out; none in a repository without a commit.
    async fn files(&self) -> Result<Vec<RepoPath>, Failure> {
        if self.git.commit("HEAD").await.is_err() {
            return Ok(Vec::new());
        }
        let files = self.git.files_at("HEAD").await;
        files.map_err(|error| Failure::new(Exit::Failed, error))
    }
}
