//! `watch`: the stages by their schedule, the configuration read again before each tick.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::event::Stage;
use pipeline_core::issue::IssueKey;
use pipeline_core::pipeline::Pipeline;
use pipeline_core::pipeline::PipelineError;
use pipeline_core::report::Outcome;
use pipeline_core::report::TickOptions;
use pipeline_core::report::TickReport;
use tokio::task::JoinSet;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::WatchArguments;
use super::exit::one_line;
use super::pause::Paused;
use super::stages;
use super::teller::Teller;
use crate::compose;
use crate::config::ConfigFile;
use crate::config::Reload;
use crate::schedule;
use crate::schedule::LastRuns;
use crate::terminal::Style;
use crate::workplace::Workplace;

const ALL: [Stage; 4] = [
    Stage::Triage,
    Stage::Check,
    Stage::Dispatch,
    Stage::Integrate,
];

/// The longest sleep: how soon an edit of the configuration or a pause is noticed.
const LOOK: Duration = Duration::from_secs(15);

pub(super) async fn run(context: &Context, arguments: &WatchArguments) -> Result<Exit, Failure> {
    let mut watch = Watch::begin(context, arguments).await?;
    if arguments.until_idle {
        return watch.until_idle().await;
    }
    let told = format!(
        "watching by {}; Ctrl-C ends it",
        watch.workplace.loaded.path.display()
    );
    context.out.line(told)?;
    loop {
        watch.reload().await?;
        let wake = watch.begin_due()?;
        tokio::select! {
            Some(ended) = watch.running.join_next(), if !watch.running.is_empty() => {
                // A tick that panicked is a defect; the others go on.
                let (stage, result) = ended.map_err(|error| Failure::new(Exit::Failed, error))?;
                watch.busy.remove(&stage);
                watch.tell(stage, result)?;
                stages::tell_persons(context, &watch.workplace, &watch.teller).await?;
            }
            () = SystemClock.sleep(wake) => {}
        }
    }
}

struct Watch<'a> {
    context: &'a Context,
    wanted: Vec<Stage>,
    file: ConfigFile,
    workplace: Workplace,
    pipeline: Pipeline,
    teller: Arc<Teller>,
    running: JoinSet<(Stage, Result<TickReport, PipelineError>)>,
    busy: BTreeSet<Stage>,
    paused: Option<Paused>,
    told: BTreeMap<(Stage, Option<IssueKey>), String>,
}

impl<'a> Watch<'a> {
    async fn begin(context: &'a Context, arguments: &WatchArguments) -> Result<Self, Failure> {
        let path = context.config_path()?;
        // The same sentence as every other command where there is no configuration.
        context.workplace()?;
        let file = ConfigFile::open(&path)?;
        let workplace = Workplace::of(file.current().clone(), &context.around)?;
        let teller = Arc::new(Teller::new(
            workplace.name(),
            context.out.progress().clone(),
        ));
        let composed =
            compose::compose(&workplace, &context.around, Arc::clone(&teller) as _).await?;
        let wanted = if arguments.stages.is_empty() {
            ALL.to_vec()
        } else {
            arguments.stages.clone()
        };
        Ok(Self {
            context,
            wanted,
            file,
            workplace,
            pipeline: composed.pipeline,
            teller,
            running: JoinSet::new(),
            busy: BTreeSet::new(),
            paused: None,
            told: BTreeMap::new(),
        })
    }

    /// Reads the configuration again; what cannot be used leaves everything as it was.
    async fn reload(&mut self) -> Result<(), Failure> {
        let out = &self.context.out;
        match self.file.reload() {
            Reload::Unchanged => return Ok(()),
            Reload::Kept(error) => {
                let told = format!(
                    "{}\nthe last good configuration stays in force",
                    one_line(&error)
                );
                return Ok(out.complain(&told)?);
            }
            Reload::Changed => {}
        }
        let around = &self.context.around;
        let renewed = async {
            let workplace = Workplace::of(self.file.current().clone(), around)?;
            let observer = Arc::clone(&self.teller) as _;
            let composed = compose::compose(&workplace, around, observer).await?;
            Ok::<_, Failure>((workplace, composed.pipeline))
        };
        match renewed.await {
            Ok((workplace, pipeline)) => {
                (self.workplace, self.pipeline) = (workplace, pipeline);
                out.line(format!(
                    "{}  the configuration was read again",
                    SystemClock.now()
                ))?;
            }
            Err(failure) => {
                let told = format!("{failure}\nthe last good configuration stays in force");
                out.complain(&told)?;
            }
        }
        Ok(())
    }

    /// Begins every stage that is due, and returns how long to sleep.
    fn begin_due(&mut self) -> Result<Duration, Failure> {
        let paused = Paused::read(&self.workplace.state)?;
        if paused != self.paused {
            let told = paused
                .as_ref()
                .map_or_else(|| "goes on".to_owned(), Paused::sentence);
            self.context
                .out
                .line(format!("{}  {told}", SystemClock.now()))?;
            self.paused = paused;
        }
        if self.paused.is_some() {
            return Ok(LOOK);
        }
        let section = &self.workplace.config().schedule;
        let zone = schedule::time_zone(section.time_zone.as_deref()).map_err(Failure::usage)?;
        let last = LastRuns::read(&self.workplace.state)?;
        let mut wake = LOOK;
        for stage in self
            .wanted
            .iter()
            .copied()
            .filter(|s| !self.busy.contains(s))
            .collect::<Vec<_>>()
        {
            let now = SystemClock.now();
            let next = schedule::next_run(&section.of(stage), &zone, last.of(stage), now);
            if next > now {
                wake = wake.min(schedule::wait(next, now));
                continue;
            }
            LastRuns::note(&self.workplace.state, stage, now)?;
            let pipeline = self.pipeline.clone();
            self.busy.insert(stage);
            self.running.spawn(async move {
                let result = stages::tick(&pipeline, stage, &TickOptions::default()).await;
                (stage, result)
            });
        }
        Ok(wake)
    }

    /// Tells what a tick did; what it told before is not told again.
    fn tell(
        &mut self,
        stage: Stage,
        result: Result<TickReport, PipelineError>,
    ) -> Result<(), Failure> {
        let out = &self.context.out;
        let mut report = match result {
            Ok(report) => report,
            Err(error) => return Ok(out.complain(&one_line(&error))?),
        };
        report.issues.retain(|line| {
            let news = !matches!(line.outcome, Outcome::Nothing { .. });
            let known = (stage, line.issue.clone());
            let text = line.outcome.text().to_owned();
            news && self.told.insert(known, text).as_deref() != Some(line.outcome.text())
        });
        if report.issues.is_empty() {
            return Ok(());
        }
        let head = format!("{}  {}", report.ended, stage.name());
        out.line(out.paint(Style::Bold, &head))?;
        stages::tell(out, &report)
    }

    /// Makes rounds of all stages, whatever the schedule says, until one changes nothing.
    async fn until_idle(&mut self) -> Result<Exit, Failure> {
        let mut failed = false;
        let mut reports = Vec::new();
        loop {
            let mut changed = false;
            for stage in self.wanted.clone() {
                if let Some(paused) = Paused::read(&self.workplace.state)? {
                    return Err(Failure::new(Exit::Paused, paused.sentence()));
                }
                let report = stages::tick(&self.pipeline, stage, &TickOptions::default()).await?;
                changed |= report.changed();
                failed |= report.failed();
                self.tell(stage, Ok(report.clone()))?;
                reports.push(report);
                stages::tell_persons(self.context, &self.workplace, &self.teller).await?;
            }
            if !changed {
                self.context
                    .out
                    .line("nothing is left to do that needs nobody; `issue-pipeline status` shows the rest")?;
                self.context.out.result(&reports)?;
                return Ok(if failed { Exit::Failed } else { Exit::Done });
            }
        }
    }
}
