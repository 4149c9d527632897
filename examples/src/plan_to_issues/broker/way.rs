//! Who makes the calls, and by what they are kept from calling anybody else.

use std::fmt;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline_core::agent::Agent;
use pipeline_core::agent::Confinement;
use pipeline_core::agent::LoopbackReach;
use pipeline_core::process::Wrapper;
use pipeline_trackers::broker::Door;

use super::folder::Private;
use crate::compose;
use crate::issue_pipeline::Failure;
use crate::plan_to_issues::arguments::BrokerArguments;
use crate::plan_to_issues::setting::Opened;
use crate::plan_to_issues::setting::Setting;
use crate::sandbox;
use crate::terminal::escape_line;

/// The port a command sees, in a network where nothing else is.
pub(super) const PORT: u16 = 3128;

/// Who makes the calls.
#[derive(Debug)]
pub(super) enum Way {
    /// An agent, held to the loopback by its own sandbox.
    Agent(Arc<dyn Agent>, LoopbackReach),
    /// A command in a sandbox that has no network but a bridge to the broker.
    Confined(Wrapper, Private),
    /// A command that a person trusts.
    Unconfined,
}

/// Where a broker is reached.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) door: Door,
    pub(super) seen_as: Option<SocketAddr>,
}

impl Way {
    /// Finds what holds the caller in; refuses where nothing does and nobody said that it may be so.
    pub(super) async fn of(
        setting: &Setting,
        opened: &Opened,
        arguments: &BrokerArguments,
    ) -> Result<Self, Failure> {
        let workplace = setting.workplace.as_ref();
        let workplace = workplace
            .ok_or_else(|| Failure::usage("the broker needs a configuration: --config"))?;
        if let Some(name) = &arguments.agent {
            let agent = compose::agent(workplace, &setting.around, name).await?;
            let shown = escape_line(name);
            let agent = agent.ok_or_else(|| {
                Failure::usage(format!("the configuration has no agent `{shown}`"))
            })?;
            let reach = agent.loopback().ok_or_else(|| {
                Failure::refused(format!(
                    "the agent `{shown}` cannot be held to the loopback here, so it could send the plan anywhere; if you trust \
                     it, say unconfined_broker = true in [plan], and run its program by `plan-to-issues broker -- COMMAND`"
                ))
            })?;
            return Ok(Self::Agent(agent, reach));
        }
        if opened.section.unconfined_broker {
            return Ok(Self::Unconfined);
        }
        let wrapper = sandbox::wrapper(&setting.around, workplace, None, false);
        let wrapper = wrapper.map_err(Failure::usage)?;
        // Of a wrapper of somebody's own it is not known what its network is.
        let by = Confinement::Confined {
            by: "bubblewrap".to_owned(),
        };
        if cfg!(target_os = "linux") && wrapper.confinement() == by {
            return Ok(Self::Confined(wrapper, Private::new()?));
        }
        Err(Failure::refused(
            "nothing here confines a command to the loopback (that takes Linux and bubblewrap), so it could send the plan \
             anywhere; if you trust it, say unconfined_broker = true in [plan]",
        ))
    }

    pub(super) fn entrance(&self) -> Entrance {
        match self {
            Self::Agent(_, LoopbackReach::Port { seen_as }) => Entrance {
                door: Door::Loopback,
                seen_as: Some(*seen_as),
            },
            Self::Agent(..) => Entrance {
                door: Door::OwnAddress,
                seen_as: None,
            },
            Self::Confined(_, private) => Entrance {
                door: Door::Socket(socket(private)),
                seen_as: Some((Ipv4Addr::LOCALHOST, PORT).into()),
            },
            Self::Unconfined => Entrance {
                door: Door::Loopback,
                seen_as: None,
            },
        }
    }
}

/// Returns where the broker's socket is.
pub(super) fn socket(private: &Private) -> PathBuf {
    private.path().join("broker")
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent, reach) => write!(
                f,
                "the agent {}, whose commands reach {} and nothing else",
                escape_line(agent.name()),
                reach.shown()
            ),
            Self::Confined(..) => {
                f.write_str("a command under bubblewrap, which reaches the broker and nothing else")
            }
            Self::Unconfined => f.write_str("a command that nothing confines (unconfined_broker)"),
        }
    }
}
