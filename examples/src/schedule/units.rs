//! The units that run the pipeline from launchd, systemd or cron, as text to be installed by a person.
//!
//! A timer only wakes the program up: `--scheduled` makes the stage look at its own interval, active hours and time zone,
//! so that the configuration stays the one place where they stand. Dispatch is a `watch` service, because its runs are
//! long and a timer's next start must not be waited for or doubled.

use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::event::Stage;
use serde::Serialize;

use crate::config::model::ScheduleSection;

/// What the units are made of.
#[derive(Debug, Clone)]
pub struct Units<'a> {
    /// The program, absolute.
    pub program: PathBuf,
    /// The configuration, absolute.
    pub config: PathBuf,
    /// A name that tells several pipelines of one user apart.
    pub name: String,
    /// Where output goes where the system keeps none itself.
    pub logs: PathBuf,
    /// The `PATH` the program and its agents see.
    pub search_path: String,
    /// When each stage runs.
    pub schedule: &'a ScheduleSection,
}

const TIMED: [Stage; 3] = [Stage::Triage, Stage::Check, Stage::Integrate];

impl Units<'_> {
    fn secs(&self, stage: Stage) -> u64 {
        self.schedule.of(stage).every.as_secs()
    }

    fn words(&self, stage: Stage) -> Vec<String> {
        let program = self.program.display().to_string();
        let config = self.config.display().to_string();
        let head = [program, "--config".to_owned(), config];
        let tail: &[&str] = match stage {
            Stage::Dispatch => &["watch", "--stage", "dispatch"],
            Stage::Triage | Stage::Check | Stage::Integrate => &[stage.name(), "--scheduled"],
        };
        let tail = tail.iter().map(|&word| word.to_owned());
        head.into_iter().chain(tail).collect()
    }

    /// Returns launchd agents.
    #[must_use]
    pub fn launchd(&self) -> Vec<UnitFile> {
        let stages = TIMED.into_iter().chain([Stage::Dispatch]);
        stages.map(|stage| self.agent(stage)).collect()
    }

    fn agent(&self, stage: Stage) -> UnitFile {
        let label = format!("issue-pipeline.{}.{}", self.name, stage.name());
        let key = |name: &str, value: &str| format!("  <key>{name}</key>\n{value}");
        let string = |text: &str| format!("  <string>{}</string>\n", xml(text));
        let words: String = self
            .words(stage)
            .iter()
            .map(|w| format!("  {}", string(w)))
            .collect();
        let when = match stage {
            Stage::Dispatch => [
                key("RunAtLoad", "  <true/>\n"),
                key("KeepAlive", "  <true/>\n"),
                key("ThrottleInterval", "  <integer>60</integer>\n"),
            ]
            .concat(),
            Stage::Triage | Stage::Check | Stage::Integrate => {
                let secs = self.secs(stage);
                key("StartInterval", &format!("  <integer>{secs}</integer>\n"))
            }
        };
        let path = format!(
            "  <dict>\n    <key>PATH</key>\n  {}  </dict>\n",
            string(&self.search_path)
        );
        let log = string(&self.log(stage));
        let text = [
            PLIST_HEAD.to_owned(),
            key("Label", &string(&label)),
            key(
                "ProgramArguments",
                &format!("  <array>\n{words}  </array>\n"),
            ),
            when,
            key("EnvironmentVariables", &path),
            key("StandardOutPath", &log),
            key("StandardErrorPath", &log),
            key("ProcessType", "  <string>Background</string>\n"),
            "</dict>\n</plist>\n".to_owned(),
        ]
        .concat();
        UnitFile {
            name: format!("{label}.plist"),
            text,
        }
    }

    /// Returns systemd user units.
    #[must_use]
    pub fn systemd(&self) -> Vec<UnitFile> {
        let timed = TIMED
            .into_iter()
            .flat_map(|stage| [self.oneshot(stage), self.timer(stage)]);
        timed.chain([self.watch_service()]).collect()
    }

    fn unit(&self, stage: Stage, kind: &str, text: &str) -> UnitFile {
        let head = format!(
            "[Unit]\nDescription=issue-pipeline {} of {}\n\n",
            stage.name(),
            self.name
        );
        let name = format!("issue-pipeline-{}-{}.{kind}", self.name, stage.name());
        UnitFile {
            name,
            text: head + text,
        }
    }

    fn service(&self, stage: Stage) -> String {
        let words: Vec<String> = self.words(stage).iter().map(|w| systemd_word(w)).collect();
        let path = systemd_word(&format!("PATH={}", self.search_path));
        format!(
            "Environment={path}\nExecStart={}\nUMask=0077\n",
            words.join(" ")
        )
    }

    fn oneshot(&self, stage: Stage) -> UnitFile {
        self.unit(
            stage,
            "service",
            &format!("[Service]\nType=oneshot\n{}", self.service(stage)),
        )
    }

    fn timer(&self, stage: Stage) -> UnitFile {
        let secs = self.secs(stage);
        let text = format!(
            "[Timer]\nOnActiveSec=10\nOnUnitActiveSec={secs}\nAccuracySec=1\n\n\
             [Install]\nWantedBy=timers.target\n"
        );
        self.unit(stage, "timer", &text)
    }

    fn watch_service(&self) -> UnitFile {
        let service = self.service(Stage::Dispatch);
        let text = format!(
            "[Service]\n{service}Restart=on-failure\nRestartSec=60\nKillSignal=SIGINT\n\
             TimeoutStopSec=120\n\n[Install]\nWantedBy=default.target\n"
        );
        self.unit(Stage::Dispatch, "service", &text)
    }

    /// Returns lines for a crontab.
    #[must_use]
    pub fn cron(&self) -> UnitFile {
        let line = |when: &str, stage: Stage| {
            let words: Vec<String> = self.words(stage).iter().map(|w| shell_word(w)).collect();
            let command = format!(
                "{} >>{} 2>&1",
                words.join(" "),
                shell_word(&self.log(stage))
            );
            // Cron ends a command at a percent sign that is not escaped.
            format!("{when} {}\n", command.replace('%', "\\%"))
        };
        let timed: String = TIMED
            .into_iter()
            .map(|stage| line(&cron_minutes(Duration::from_secs(self.secs(stage))), stage))
            .collect();
        let text = format!(
            "PATH={}\n{timed}# A watch service, not a timer: agents may run longer than an interval.\n{}",
            self.search_path,
            line("@reboot", Stage::Dispatch)
        );
        UnitFile {
            name: "crontab".to_owned(),
            text,
        }
    }

    fn log(&self, stage: Stage) -> String {
        self.logs
            .join(format!("{}.log", stage.name()))
            .display()
            .to_string()
    }
}

const PLIST_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
    <plist version=\"1.0\">\n<dict>\n";

/// One file of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitFile {
    /// The file's name.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Returns how often cron has to wake the stage up: the interval itself where cron can say it, else every minute.
fn cron_minutes(every: Duration) -> String {
    let minutes = every.as_secs() / 60;
    let whole = every.as_secs().is_multiple_of(60);
    match minutes {
        2..=59 if whole && 60_u64.is_multiple_of(minutes) => format!("*/{minutes} * * * *"),
        60 if whole => "0 * * * *".to_owned(),
        _ => "* * * * *".to_owned(),
    }
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn systemd_word(word: &str) -> String {
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    if escaped
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c))
    {
        escaped
    } else {
        format!("\"{escaped}\"")
    }
}

/// Returns a word as a POSIX shell reads it back.
pub(crate) fn shell_word(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| "''".to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn units(schedule: &ScheduleSection) -> Units<'_> {
        Units {
            program: "/usr/local/bin/issue-pipeline".into(),
            config: "/home/rei/My Shop/50%/pipeline.toml".into(),
            name: "shop".to_owned(),
            logs: "/home/rei/state/logs".into(),
            search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            schedule,
        }
    }

    fn shown(files: &[UnitFile]) -> String {
        files
            .iter()
            .map(|f| format!("## {}\n{}", f.name, f.text))
            .collect()
    }

    #[test]
    fn launchd() {
        let schedule = ScheduleSection::default();
        let files = units(&schedule).launchd();
        assert_eq!(files.len(), 4);
        assert_snapshot!(shown(&files[..1]), @r#"
        ## issue-pipeline.shop.triage.plist
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <plist version="1.0">
        <dict>
          <key>Label</key>
          <string>issue-pipeline.shop.triage</string>
          <key>ProgramArguments</key>
          <array>
            <string>/usr/local/bin/issue-pipeline</string>
            <string>--config</string>
            <string>/home/rei/My Shop/50%/pipeline.toml</string>
            <string>triage</string>
            <string>--scheduled</string>
          </array>
          <key>StartInterval</key>
          <integer>900</integer>
          <key>EnvironmentVariables</key>
          <dict>
            <key>PATH</key>
            <string>/usr/local/bin:/usr/bin:/bin</string>
          </dict>
          <key>StandardOutPath</key>
          <string>/home/rei/state/logs/triage.log</string>
          <key>StandardErrorPath</key>
          <string>/home/rei/state/logs/triage.log</string>
          <key>ProcessType</key>
          <string>Background</string>
        </dict>
        </plist>
        "#);
        assert_snapshot!(shown(&files[3..]), @r#"
        ## issue-pipeline.shop.dispatch.plist
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <plist version="1.0">
        <dict>
          <key>Label</key>
          <string>issue-pipeline.shop.dispatch</string>
          <key>ProgramArguments</key>
          <array>
            <string>/usr/local/bin/issue-pipeline</string>
            <string>--config</string>
            <string>/home/rei/My Shop/50%/pipeline.toml</string>
            <string>watch</string>
            <string>--stage</string>
            <string>dispatch</string>
          </array>
          <key>RunAtLoad</key>
          <true/>
          <key>KeepAlive</key>
          <true/>
          <key>ThrottleInterval</key>
          <integer>60</integer>
          <key>EnvironmentVariables</key>
          <dict>
            <key>PATH</key>
            <string>/usr/local/bin:/usr/bin:/bin</string>
          </dict>
          <key>StandardOutPath</key>
          <string>/home/rei/state/logs/dispatch.log</string>
          <key>StandardErrorPath</key>
          <string>/home/rei/state/logs/dispatch.log</string>
          <key>ProcessType</key>
          <string>Background</string>
        </dict>
        </plist>
        "#);
    }

    #[test]
    fn systemd() {
        let schedule = ScheduleSection::default();
        let files = units(&schedule).systemd();
        assert_eq!(files.len(), 7);
        assert_snapshot!(shown(&files[..2]), @r#"
        ## issue-pipeline-shop-triage.service
        [Unit]
        Description=issue-pipeline triage of shop

        [Service]
        Type=oneshot
        Environment=PATH=/usr/local/bin:/usr/bin:/bin
        ExecStart=/usr/local/bin/issue-pipeline --config "/home/rei/My Shop/50%%/pipeline.toml" triage --scheduled
        UMask=0077
        ## issue-pipeline-shop-triage.timer
        [Unit]
        Description=issue-pipeline triage of shop

        [Timer]
        OnActiveSec=10
        OnUnitActiveSec=900
        AccuracySec=1

        [Install]
        WantedBy=timers.target
        "#);
        assert_snapshot!(shown(&files[6..]), @r#"
        ## issue-pipeline-shop-dispatch.service
        [Unit]
        Description=issue-pipeline dispatch of shop

        [Service]
        Environment=PATH=/usr/local/bin:/usr/bin:/bin
        ExecStart=/usr/local/bin/issue-pipeline --config "/home/rei/My Shop/50%%/pipeline.toml" watch --stage dispatch
        UMask=0077
        Restart=on-failure
        RestartSec=60
        KillSignal=SIGINT
        TimeoutStopSec=120

        [Install]
        WantedBy=default.target
        "#);
    }

    #[test]
    fn cron() {
        assert_snapshot!(units(&ScheduleSection::default()).cron().text, @r"
        PATH=/usr/local/bin:/usr/bin:/bin
        */15 * * * * /usr/local/bin/issue-pipeline --config '/home/rei/My Shop/50\%/pipeline.toml' triage --scheduled >>/home/rei/state/logs/triage.log 2>&1
        */15 * * * * /usr/local/bin/issue-pipeline --config '/home/rei/My Shop/50\%/pipeline.toml' check --scheduled >>/home/rei/state/logs/check.log 2>&1
        */5 * * * * /usr/local/bin/issue-pipeline --config '/home/rei/My Shop/50\%/pipeline.toml' integrate --scheduled >>/home/rei/state/logs/integrate.log 2>&1
        # A watch service, not a timer: agents may run longer than an interval.
        @reboot /usr/local/bin/issue-pipeline --config '/home/rei/My Shop/50\%/pipeline.toml' watch --stage dispatch >>/home/rei/state/logs/dispatch.log 2>&1
        ");
    }

    #[test]
    fn cron_wakes_every_minute_where_it_cannot_say_the_interval() {
        for (secs, said) in [
            (900, "*/15 * * * *"),
            (3600, "0 * * * *"),
            (300, "*/5 * * * *"),
            (60, "* * * * *"),
            (90, "* * * * *"),
            (420, "* * * * *"),
            (7200, "* * * * *"),
        ] {
            assert_eq!(cron_minutes(Duration::from_secs(secs)), said, "{secs}");
        }
    }
}
