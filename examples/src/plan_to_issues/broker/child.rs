//! A command that makes the calls.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use pipeline_core::process::Access;
use pipeline_core::process::Capture;
use pipeline_core::process::ProcessReport;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::Reach;
use pipeline_core::secret::Redactor;
use pipeline_trackers::broker::Broker;

use super::service::Service;
use super::way::PORT;
use super::way::Way;
use super::way::socket;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::plan_to_issues::arguments::BrokerArguments;
use crate::plan_to_issues::setting::Setting;
use crate::terminal::escape_line;

/// What is kept of a command's output.
pub(crate) const KEPT: Capture = Capture::tail(256 << 10, 64 << 20);

/// Runs the command to its end and shows what it said.
pub(super) async fn run(
    setting: &Setting,
    service: &Service,
    broker: &Broker,
    way: &Way,
    folder: &Path,
    files: &[String],
    arguments: &BrokerArguments,
) -> Result<ProcessReport, Failure> {
    let (program, rest) = arguments
        .command
        .split_first()
        .ok_or_else(|| Failure::usage("name the command to run after --"))?;
    let program = setting
        .around
        .find_program(program)
        .ok_or_else(|| Failure::usage(format!("there is no program `{}`", escape_line(program))))?;
    let home = folder.join("home");
    std::fs::create_dir(&home)?;
    let redactor = Redactor::new([&service.token]);
    let ours = [&service.address_name, &service.token_name];
    let names = arguments.env.iter().filter(|name| !ours.contains(name));
    let passed = setting.around.named(names);
    // The token under another name would be the token all the same; so would it be as an argument.
    let holds = |text: &OsStr| redactor.finds(&text.to_string_lossy());
    if passed.iter().any(|(_, value)| holds(value)) || rest.iter().any(|a| redactor.finds(a)) {
        return Err(Failure::refused(
            "the command would be given the tracker's token: take it out of --env and of the arguments",
        ));
    }
    let mut variables: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), setting.around.search_path()),
        ("HOME".into(), home.into()),
        ((&service.address_name).into(), broker.url().as_str().into()),
        ((&service.token_name).into(), broker.placeholder().into()),
        ("PLAN_FILES".into(), files.join("\n").into()),
        ("PLAN_PHASES".into(), arguments.phase.join("\n").into()),
    ];
    variables.extend(passed);
    let spec = match way {
        Way::Confined(wrapper, private) => {
            let socket = socket(private);
            let names = variables.iter();
            let names = names.flat_map(|(name, _)| [OsStr::new("--env"), name.as_os_str()]);
            let reach = Reach::new(folder, Access::ReadWrite)
                .read(private.path())
                .read(&setting.around.program)
                .read(&program);
            ProcessSpec::new(&setting.around.program, folder)
                .arg("bridge")
                .arg("--socket")
                .arg(socket)
                .args(["--port", &PORT.to_string()])
                .args(names)
                .arg("--")
                .arg(program)
                .confined(wrapper.clone(), reach)
        }
        Way::Agent(..) | Way::Unconfined => ProcessSpec::new(program, folder),
    };
    let spec = spec
        .args(rest)
        .envs(variables)
        .stdout(KEPT)
        .deadline(Duration::from_secs(arguments.minutes.saturating_mul(60)));
    let report = spec
        .run()
        .await
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    // It cannot have the token; that it does not show it is checked all the same.
    for text in [report.stdout().text(), report.stderr().text()] {
        setting.out.raw(redactor.redact(&text).as_bytes())?;
    }
    Ok(report)
}
