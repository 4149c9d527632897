//! The events of `claude -p --output-format stream-json`.

use std::time::Duration;

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::Usage;
use pipeline_core::clock::Timestamp;
use serde_json::Value;

use crate::cli::Decoder;
use crate::cli::End;
use crate::cli::Seen;
use crate::cli::Step;
use crate::cli::crashed;
use crate::cli::number;
use crate::cli::text;
use crate::words::brief;

/// A wait that is longer is left to the pipeline, which can let somebody else work meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// About how many bytes of what the model writes are a token, for the time before the true number is told.
const BYTES_PER_TOKEN: u64 = 4;

/// What the time of an event is compared with.
pub(super) type Now<'n> = &'n (dyn Fn() -> Timestamp + Send + Sync);

/// Reads the events.
pub(super) struct Stream<'s> {
    /// The tools it was given; anything else means that the flags did not take.
    tools: &'s [&'s str],
    kept: bool,
    now: Now<'s>,
    /// What the replies so far have used: of those that are over, and of the one that comes in parts.
    past: Usage,
    reply: Option<(String, Usage)>,
    /// The last `error` of a reply that the program made up itself.
    failure: Option<String>,
    /// When the service wants to be asked again, and whether that is because an allowance is used up.
    wait: Option<Timestamp>,
    used_up: bool,
    denied: u64,
    result: Option<Value>,
}

impl<'s> Stream<'s> {
    pub(super) fn new(tools: &'s [&'s str], kept: bool, now: Now<'s>) -> Self {
        Self {
            tools,
            kept,
            now,
            past: Usage::default(),
            reply: None,
            failure: None,
            wait: None,
            used_up: false,
            denied: 0,
            result: None,
        }
    }

    /// Takes the answer that the program has checked against the schema itself.
    pub(super) fn take_answer(&mut self) -> Option<Value> {
        self.result
            .as_mut()?
            .get_mut("structured_output")
            .map(Value::take)
    }

    /// Returns how often it was kept from something by its own rules.
    pub(super) const fn denied(&self) -> u64 {
        self.denied
    }

    /// Returns whether it never began, because it does not know the session it was to go on with.
    pub(super) fn lost_session(&self) -> bool {
        let Some(result) = &self.result else {
            return false;
        };
        let unknown = errors(result).any(|error| error.contains("No conversation found"));
        unknown && number(result, "/num_turns") == Some(0)
    }

    fn system(&mut self, event: &Value, seen: &mut Seen<'_>) -> Step {
        match text(event, "/subtype").unwrap_or_default() {
            "init" => self.begun(event, seen),
            "api_retry" => self.retries(event, seen),
            "permission_denied" => {
                self.denied += 1;
                let tool = text(event, "/tool_name").unwrap_or_default();
                let why = text(event, "/decision_reason").unwrap_or_default();
                seen.tell(format!("denied: {tool}: {why}"));
                Step::Continue
            }
            _ => Step::Continue,
        }
    }

    /// It has begun: checks that it has the tools it was given and no other.
    fn begun(&self, event: &Value, seen: &mut Seen<'_>) -> Step {
        if self.kept {
            seen.session = text(event, "/session_id").map(str::to_owned);
        }
        let list = |name: &str| {
            event
                .get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let foreign = list("tools")
            .filter_map(Value::as_str)
            .find(|tool| *tool != "StructuredOutput" && !self.tools.contains(tool));
        let detail = match foreign {
            Some(tool) => format!("it offers the tool {}, which it was not given", brief(tool)),
            None if list("mcp_servers").next().is_some() => {
                "it started a server that only the repository names".to_owned()
            }
            None => return Step::Continue,
        };
        Step::Stop(AgentOutcome::SandboxUnavailable { detail })
    }

    fn retries(&mut self, event: &Value, seen: &mut Seen<'_>) -> Step {
        let status = number(event, "/error_status");
        let delay = Duration::from_millis(number(event, "/retry_delay_ms").unwrap_or(0));
        let error = text(event, "/error").unwrap_or_default();
        seen.tell(format!(
            "the model's service failed ({error}); asked again in {delay:?}"
        ));
        if !matches!(status, Some(429 | 503 | 529)) {
            return Step::Continue;
        }
        self.wait = Some((self.now)().plus(delay));
        if delay <= LONGEST_WAIT {
            return Step::Continue;
        }
        Step::Stop(AgentOutcome::RateLimited { until: self.wait })
    }

    fn limits(&mut self, event: &Value) {
        if text(event, "/rate_limit_info/status") == Some("rejected") {
            self.used_up = true;
            let resets = event
                .pointer("/rate_limit_info/resetsAt")
                .and_then(Value::as_i64);
            let resets = resets.map(|at| Timestamp::from_millis(at.saturating_mul(1000)));
            self.wait = resets.or(self.wait);
        }
    }

    fn reply(&mut self, event: &Value, seen: &mut Seen<'_>) -> Step {
        if let Some(error) = text(event, "/error") {
            self.failure = Some(error.to_owned());
        }
        let mut written = 0;
        let blocks = event.pointer("/message/content").and_then(Value::as_array);
        for block in blocks.into_iter().flatten() {
            written += block.to_string().len() as u64;
            let end = match text(block, "/type") {
                Some("text") => {
                    seen.says(text(block, "/text").unwrap_or_default());
                    None
                }
                Some("tool_use") => tool(block, seen),
                _ => None,
            };
            if let Some(end) = end {
                return Step::Stop(end);
            }
        }
        self.count(event, written, seen)
    }

    /// Counts what a reply has used: one comes as several events, each with the same provisional numbers.
    fn count(&mut self, event: &Value, written: u64, seen: &mut Seen<'_>) -> Step {
        let Some(id) = text(event, "/message/id") else {
            return Step::Continue;
        };
        let usage = event
            .pointer("/message/usage")
            .map(tokens)
            .unwrap_or_default();
        let written = written / BYTES_PER_TOKEN;
        match &mut self.reply {
            Some((known, part)) if known == id => {
                part.input_tokens = part.input_tokens.max(usage.input_tokens);
                part.output_tokens = part.output_tokens.saturating_add(written);
            }
            reply => {
                if let Some((_, over)) = reply.take() {
                    self.past.input_tokens =
                        self.past.input_tokens.saturating_add(over.input_tokens);
                    self.past.output_tokens =
                        self.past.output_tokens.saturating_add(over.output_tokens);
                }
                let output_tokens = usage.output_tokens.max(written);
                *reply = Some((
                    id.to_owned(),
                    Usage {
                        output_tokens,
                        ..usage
                    },
                ));
            }
        }
        let part = self
            .reply
            .as_ref()
            .map(|(_, part)| *part)
            .unwrap_or_default();
        seen.used(Usage {
            input_tokens: self.past.input_tokens.saturating_add(part.input_tokens),
            output_tokens: self.past.output_tokens.saturating_add(part.output_tokens),
            ..Usage::default()
        })
        .into()
    }

    fn results(event: &Value, seen: &mut Seen<'_>) -> Step {
        let blocks = event.pointer("/message/content").and_then(Value::as_array);
        for block in blocks.into_iter().flatten() {
            let Some(call) = text(block, "/tool_use_id") else {
                continue;
            };
            let content = match block.get("content") {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            if content.starts_with("Sandbox is required but failed to initialize") {
                return Step::Stop(AgentOutcome::SandboxUnavailable {
                    detail: brief(&content),
                });
            }
            let failed = block.get("is_error") == Some(&Value::Bool(true));
            let code = match content.strip_prefix("Exit code ") {
                Some(rest) if failed => rest.lines().next().and_then(|code| code.parse().ok()),
                _ if failed => None,
                _ => Some(0),
            };
            if let Some(end) = seen.ended(call, code, &content) {
                return Step::Stop(end);
            }
        }
        Step::Continue
    }

    fn over(&mut self, event: &Value, seen: &mut Seen<'_>) -> Step {
        let usage = event.get("usage").map(tokens).unwrap_or_default();
        let cost = event.get("total_cost_usd").and_then(Value::as_f64);
        // Too late to end the run for it; the report tells.
        drop(seen.used(Usage {
            cost_micros: cost.map(micros),
            ..usage
        }));
        if let Some(words) = text(event, "/result").filter(|words| !words.is_empty()) {
            seen.says(words);
        }
        self.result = Some(event.clone());
        Step::Final
    }

    /// Says what a failed run came to. That its `subtype` is `success` says nothing.
    fn failed(&self, result: &Value, end: &End<'_>) -> AgentOutcome {
        let told: Vec<&str> = text(result, "/result")
            .into_iter()
            .chain(errors(result))
            .collect();
        let told = told.join("; ");
        let detail = brief(&told);
        match text(result, "/subtype") {
            Some("error_max_budget_usd" | "error_max_turns") => return AgentOutcome::OverBudget,
            Some("error_max_structured_output_retries") => {
                return AgentOutcome::SchemaViolation { detail };
            }
            _ => {}
        }
        match text(result, "/terminal_reason") {
            Some("prompt_too_long" | "blocking_limit") => return AgentOutcome::ContextOverflow,
            Some(reason) if reason.starts_with("aborted") => {
                return crashed(end, "it was interrupted by somebody else");
            }
            _ => {}
        }
        if text(result, "/stop_reason") == Some("refusal") {
            return AgentOutcome::Refused { detail };
        }
        if told.contains("Sandbox required but unavailable") {
            return AgentOutcome::SandboxUnavailable { detail };
        }
        let used_up = self.used_up
            || ["credit balance", "sage limit", "hit your"]
                .iter()
                .any(|words| told.contains(words));
        let failure = self.failure.as_deref();
        match (number(result, "/api_error_status"), failure) {
            (Some(429), _) | (_, Some("rate_limit")) if used_up => {
                // A retry's delay is about the next request; only a window says when it is filled again.
                let until = self.wait.filter(|_| self.used_up);
                AgentOutcome::UsageLimit { until }
            }
            (Some(429 | 503 | 529), _) | (_, Some("rate_limit")) => {
                AgentOutcome::RateLimited { until: self.wait }
            }
            (Some(401 | 403), _) | (_, Some("authentication_failed")) => {
                AgentOutcome::AuthenticationFailed { detail }
            }
            _ => AgentOutcome::ProviderFailed { detail },
        }
    }
}

impl Decoder for Stream<'_> {
    fn line(&mut self, event: &Value, seen: &mut Seen<'_>) -> Step {
        match text(event, "/type") {
            Some("system") => self.system(event, seen),
            Some("assistant") => self.reply(event, seen),
            Some("user") => Self::results(event, seen),
            Some("rate_limit_event") => {
                self.limits(event);
                Step::Continue
            }
            Some("result") => self.over(event, seen),
            Some(_) => Step::Continue,
            None => {
                seen.strange();
                Step::Continue
            }
        }
    }

    fn interrupt(&mut self) -> bool {
        false
    }

    fn outcome(&mut self, _seen: &Seen<'_>, end: &End<'_>) -> AgentOutcome {
        let Some(result) = &self.result else {
            if end.stderr.contains("exceeds 10MB") {
                return AgentOutcome::ContextOverflow;
            }
            return crashed(end, "it ended without a result");
        };
        // Both have to say so: an interrupt exits with 0, and a failure calls itself a success.
        match result.get("is_error") {
            Some(Value::Bool(false)) if end.is_clean() => AgentOutcome::Completed,
            Some(Value::Bool(false)) => crashed(end, "it failed after its result"),
            _ => self.failed(result, end),
        }
    }
}

/// Reads a call of a tool. Answers with the run's end where it may not be made.
fn tool(block: &Value, seen: &mut Seen<'_>) -> Option<AgentOutcome> {
    let id = text(block, "/id").unwrap_or_default();
    let input = |name: &str| text(block, &format!("/input/{name}")).unwrap_or_default();
    match text(block, "/name")? {
        "Bash" => seen.command(id, input("command")),
        "Edit" | "Write" | "MultiEdit" => seen.edit(input("file_path")),
        "NotebookEdit" => seen.edit(input("notebook_path")),
        "StructuredOutput" => None,
        name => {
            let about = ["file_path", "pattern", "path"].map(input);
            let about = about.iter().find(|about| !about.is_empty());
            seen.tell(format!("{name} {}", about.unwrap_or(&"")));
            None
        }
    }
}

fn tokens(usage: &Value) -> Usage {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
    Usage {
        // What came from the cache is no part of the input here.
        input_tokens: count("input_tokens")
            .saturating_add(count("cache_creation_input_tokens"))
            .saturating_add(count("cache_read_input_tokens")),
        output_tokens: count("output_tokens"),
        ..Usage::default()
    }
}

fn errors(result: &Value) -> impl Iterator<Item = &str> {
    let errors = result.get("errors").and_then(Value::as_array);
    errors.into_iter().flatten().filter_map(Value::as_str)
}

/// Returns US dollars in millionths.
fn micros(dollars: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates: what is beyond is beyond any budget, and what is negative costs nothing"
    )]
    let micros = (dollars * 1e6).round() as u64;
    micros
}
