//! What a broker stands in for, and under which names.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::secret::Secret;
use pipeline_core::tracker::Dialect;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::broker::Broker;
use pipeline_trackers::broker::BrokerLimits;
use pipeline_trackers::broker::BrokerOptions;
use pipeline_trackers::broker::BrokerRules;
use pipeline_trackers::broker::PlannedIssues;
use pipeline_trackers::broker::TokenPlace;
use url::Url;

use super::way::Entrance;
use crate::compose::tracker::Adapter;
use crate::config::AddressSource;
use crate::config::SecretSource;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::plan_to_issues::arguments::BrokerArguments;
use crate::plan_to_issues::setting::Opened;
use crate::plan_to_issues::setting::Setting;

/// What a broker stands in for, and under which names.
#[derive(Debug)]
pub(super) struct Service {
    upstream: Url,
    pub(super) token: Secret,
    place: TokenPlace,
    rules: BrokerRules,
    connection: ConnectionOptions,
    /// The variable of the project's address.
    pub(super) address_name: String,
    /// The variable of the token.
    pub(super) token_name: String,
    /// How a call is made, for an agent.
    pub(super) manual: &'static str,
}

impl Service {
    /// Finds out where the project's API is; the tracker is asked for that.
    pub(super) async fn of(setting: &Setting, opened: &Opened) -> Result<Self, Failure> {
        let none = || {
            Failure::usage(
                "this tracker has no address and no token to keep: use `plan-to-issues apply`",
            )
        };
        let section = &setting
            .workplace
            .as_ref()
            .ok_or_else(none)?
            .config()
            .tracker;
        let server = opened.server.as_ref().ok_or_else(none)?;
        let token = opened.secrets.first().ok_or_else(none)?.clone();
        let failed = |error| Failure::new(Exit::Failed, error);
        let (upstream, place, rules, names, manual) = match &server.adapter {
            Adapter::Gitlab(tracker) => (
                tracker.api().await.map_err(failed)?,
                TokenPlace::Header("PRIVATE-TOKEN"),
                BrokerRules::gitlab(),
                ["GITLAB_PROJECT_URL", "GITLAB_API_TOKEN"],
                include_str!("gitlab.md"),
            ),
            Adapter::Backlog(_) if section.backlog.oauth.is_used() => {
                return Err(Failure::usage(
                    "a broker keeps an API key, not OAuth tokens that are renewed: set [tracker] token in place of [tracker.backlog.oauth], or use `plan-to-issues apply`",
                ));
            }
            Adapter::Backlog(tracker) => {
                let (api, project) = tracker.api().await.map_err(failed)?;
                (
                    api,
                    TokenPlace::Query("apiKey"),
                    BrokerRules::backlog(tracker.address().project(), project),
                    ["BACKLOG_PROJECT_URL", "BACKLOG_API_KEY"],
                    include_str!("backlog.md"),
                )
            }
        };
        let [address_name, token_name] = names.map(str::to_owned);
        Ok(Self {
            upstream,
            token,
            place,
            rules,
            connection: server.connection.clone(),
            address_name: match &section.project {
                Some(AddressSource::Env(name)) => name.clone(),
                _ => address_name,
            },
            token_name: match &section.token {
                Some(SecretSource::Env(name)) => name.clone(),
                _ => token_name,
            },
            manual,
        })
    }

    /// Starts a broker for a run that may make these issues.
    pub(super) async fn broker(
        &self,
        tracker: &Arc<dyn Tracker>,
        planned: PlannedIssues,
        entrance: Entrance,
        arguments: &BrokerArguments,
    ) -> Result<Broker, Failure> {
        let limits = BrokerLimits {
            writes: arguments.writes,
            lifetime: Duration::from_secs(arguments.minutes.saturating_mul(60)),
            ..BrokerLimits::default()
        };
        let options = BrokerOptions {
            upstream: self.upstream.clone(),
            token: self.token.clone(),
            place: self.place.clone(),
            rules: self.rules.clone(),
            limits,
            dialect: Arc::new(TrackerDialect(Arc::clone(tracker))),
            connection: self.connection.clone(),
            door: entrance.door,
            seen_as: entrance.seen_as,
            planned: Some(planned),
        };
        Broker::start(options)
            .await
            .map_err(|error| Failure::new(Exit::Failed, error))
    }
}

/// How the tracker treats text, for as long as the broker serves.
#[derive(Debug)]
struct TrackerDialect(Arc<dyn Tracker>);

impl Dialect for TrackerDialect {
    fn neutralise(&self, text: &str) -> String {
        self.0.dialect().neutralise(text)
    }
    fn max_chars(&self) -> usize {
        self.0.dialect().max_chars()
    }
    fn key_prefix(&self) -> &str {
        self.0.dialect().key_prefix()
    }
}
