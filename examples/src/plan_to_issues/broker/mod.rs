//! `broker`: an agent or a command makes the API calls itself, with everything but the token.

mod child;
mod drive;
mod folder;
mod service;
mod way;

use pipeline_core::agent::AgentOutcome;
use pipeline_core::plan::Drift;
use pipeline_core::plan::SyncReport;
use pipeline_trackers::broker::Broker;
use pipeline_trackers::broker::Call;
use pipeline_trackers::broker::PlannedIssues;
use pipeline_trackers::broker::Used;
use serde::Serialize;

pub(super) use self::child::KEPT;
use self::folder::Private;
use self::service::Service;
use self::way::Way;
use super::arguments::BrokerArguments;
use super::arguments::Subject;
use super::run::failure;
use super::run::tell;
use super::run::warn;
use super::setting::Opened;
use super::setting::Setting;
use super::watch::Bar;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::terminal::escape_line;

/// What `broker` tells a program.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// How the command ended; nothing where it was an agent.
    exit_code: Option<i32>,
    /// How the agent ended; nothing where it was a command.
    outcome: Option<&'a AgentOutcome>,
    calls: &'a [Call],
    used: Used,
    #[serde(flatten)]
    report: &'a SyncReport,
    missing: usize,
    drift: &'a [Drift],
}

/// How whoever made the calls ended.
#[derive(Debug)]
enum Ended {
    Command(Option<i32>),
    Agent(AgentOutcome),
}

impl Ended {
    fn well(&self) -> bool {
        matches!(
            self,
            Self::Command(Some(0)) | Self::Agent(AgentOutcome::Completed)
        )
    }
}

pub(super) async fn run(setting: &Setting, arguments: &BrokerArguments) -> Result<Exit, Failure> {
    let subject = Subject {
        files: arguments.files.clone(),
        phase: arguments.phase.clone(),
    };
    let opened = setting.open(&subject, false).await?;
    let service = Service::of(setting, &opened).await?;
    let way = Way::of(setting, &opened, arguments).await?;
    close_memory();
    let (sync, _lock) = opened.writing(None, |_| {})?;
    let phases = &arguments.phase;
    let plan = sync.look(&opened.files, phases).await.map_err(failure)?;
    let planned = PlannedIssues::new(plan.creations().map(|(_, _, draft)| draft.clone()));
    setting
        .out
        .line(format!("{way}; {} issues to make", planned.len()))?;
    let bar = Bar(setting.out.progress().clone());
    let folder = Private::with(&opened, state_of(setting)?, &plan)?;
    let broker = service
        .broker(&opened.tracker, planned, way.entrance(), arguments)
        .await?;
    sync.hand_over(&plan).map_err(failure)?;
    let ended = drive(
        setting, &service, &broker, &way, &folder, &opened, arguments,
    )
    .await;
    let used = broker.used();
    let calls = broker.stop().await;
    log(setting, &calls, used)?;
    // Whatever became of the caller: what was made is linked.
    let taken = sync.take_back(&plan, &opened.files, phases, &bar).await;
    let taken = taken.map_err(failure)?;
    let ended = ended?;
    tell(setting, &taken.now, &taken.report)?;
    let missing: Vec<_> = taken.now.creations().collect();
    for (file, item, _) in &missing {
        let line = format!("{}:{}: not made: {}", file.file, item.line, item.text);
        warn(setting, &line)?;
    }
    let (exit_code, outcome) = match &ended {
        Ended::Command(code) => (*code, None),
        Ended::Agent(outcome) => (None, Some(outcome)),
    };
    setting.out.result(&Told {
        exit_code,
        outcome,
        calls: &calls,
        used,
        report: &taken.report,
        missing: missing.len(),
        drift: &taken.now.drift,
    })?;
    Ok(if ended.well() && missing.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn state_of(setting: &Setting) -> Result<&std::path::Path, Failure> {
    let workplace = setting.workplace.as_ref();
    let workplace =
        workplace.ok_or_else(|| Failure::usage("the broker needs a configuration: --config"))?;
    Ok(workplace.state.path())
}

async fn drive(
    setting: &Setting,
    service: &Service,
    broker: &Broker,
    way: &Way,
    folder: &Private,
    opened: &Opened,
    arguments: &BrokerArguments,
) -> Result<Ended, Failure> {
    let folder = folder.path();
    if let Way::Agent(agent, _) = way {
        let address = broker
            .address()
            .ok_or_else(|| Failure::usage("an agent needs a port to call"))?;
        let report = drive::run(
            setting, service, broker, address, &**agent, folder, arguments,
        )
        .await?;
        return Ok(Ended::Agent(report.outcome));
    }
    let files = &opened.files;
    let report = child::run(setting, service, broker, way, folder, files, arguments).await?;
    Ok(Ended::Command(report.code()))
}

/// Shows what was asked of the broker, and how much of what it allows was used.
fn log(setting: &Setting, calls: &[Call], used: Used) -> Result<(), Failure> {
    for call in calls {
        let refused = call
            .refused
            .map(|r| format!(" refused: {r}"))
            .unwrap_or_default();
        setting.out.line(escape_line(&format!(
            "{} {} {}{refused}",
            call.status, call.method, call.path
        )))?;
    }
    setting.out.line(used.to_string())?;
    Ok(())
}

/// Keeps the memory and the environment of this process, where the token is, from other processes of the same user.
#[cfg(target_os = "linux")]
fn close_memory() {
    use rustix::process::DumpableBehavior;
    // Where the system refuses, the command is as confined as it says it is.
    let _refused = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Other systems show a process's memory and environment to its parent and to root only.
#[cfg(not(target_os = "linux"))]
const fn close_memory() {}
