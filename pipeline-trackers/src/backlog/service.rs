//! What Backlog means by its refusals and its headers.

use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::tracker::TrackerError;

use super::NAME;
use super::wire;
use crate::http::Answer;
use crate::http::Rate;
use crate::http::Request;
use crate::http::Service;

/// The budgets the service counts by: reading, searching, and changing.
pub(super) const READ: &str = "read";
pub(super) const SEARCH: &str = "search";
pub(super) const UPDATE: &str = "update";

#[derive(Debug)]
pub(super) struct Backlog;

impl Service for Backlog {
    fn name(&self) -> &'static str {
        NAME
    }

    // They differ by plan and are told with each answer.
    fn limits(&self) -> &[(&'static str, usize)] {
        &[]
    }

    fn rate(&self, answer: &Answer) -> Option<Rate> {
        let reset = i64::try_from(answer.number("x-ratelimit-reset")?).ok()?;
        let reset = Timestamp::from_millis(reset.saturating_mul(1000));
        Some(Rate {
            limit: answer.number("x-ratelimit-limit")?,
            remaining: answer.number("x-ratelimit-remaining")?,
            // A second more, because the date of the answer has no fraction; never for longer than a window, whatever the
            // clocks say.
            reset_in: reset
                .since(answer.date)
                .saturating_add(Duration::from_secs(1))
                .min(Duration::from_secs(120)),
        })
    }

    fn said(&self, answer: &Answer) -> Option<String> {
        let errors = answer.json::<wire::Errors>().ok()?.errors;
        let said: Vec<_> = errors.into_iter().map(|e| e.message).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> Option<TrackerError> {
        let errors = answer.json::<wire::Errors>().unwrap_or_default().errors;
        let tracker = NAME.to_owned();
        let codes: Vec<u64> = errors.iter().filter_map(|e| e.code).collect();
        // The table of statuses is not published, so the code decides where there is one.
        for code in codes {
            return Some(match code {
                4 => TrackerError::PermissionDenied {
                    tracker,
                    operation: format!("{} from this network address", request.operation()),
                },
                5 => TrackerError::PermissionDenied {
                    tracker,
                    operation: request.operation().to_owned(),
                },
                6 => TrackerError::NotFound {
                    tracker,
                    what: request.subject(),
                },
                11 | 12 => TrackerError::Unauthenticated { tracker },
                13 => TrackerError::RateLimited {
                    tracker,
                    retry_after: answer
                        .retry_after()
                        .or_else(|| self.rate(answer).map(|rate| rate.reset_in)),
                },
                _ => continue,
            });
        }
        None
    }
}
