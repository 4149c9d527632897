//! The bare model over a service of this process: requests pinned, every ending named.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use pipeline_agents::ApiAgent;
use pipeline_agents::InvalidApiAgent;
use pipeline_agents::Prices;
use pipeline_agents::Wire;
use pipeline_core::agent::Agent as _;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::RunId;
use pipeline_core::agent::RunLimits;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::Unwatched;
use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::issue::IssueKey;
use pipeline_core::report::chain;
use pipeline_core::secret::Secret;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use url::Url;

const KEY: &str = "canary-key-5f2d";

/// What the service does with a request.
#[derive(Debug, Clone)]
enum Does {
    /// Answers with these bytes, then closes.
    Sends(Vec<u8>),
    /// Answers with these bytes and then stays silent.
    Hangs(Vec<u8>),
}

/// A service on loopback that answers every request alike and remembers them.
#[derive(Debug)]
struct Service {
    address: Url,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let address = Url::parse(&format!("http://127.0.0.1:{port}/v1/")).expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (does, heard) = (does.clone(), Arc::clone(&heard));
                tokio::spawn(async move { serve(stream, does, &heard).await });
            }
        });
        Self { address, asked }
    }

    fn agent(&self, wire: Wire) -> ApiAgent {
        let prices = Prices {
            input: 3_000_000,
            cached: Some(300_000),
            output: 15_000_000,
        };
        ApiAgent::builder("api", wire, self.address.clone(), "small", Secret::new(KEY))
            .prices(prices)
            .build()
            .expect("usable")
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    fn body(&self) -> Value {
        let asked = self.asked();
        let (_, body) = asked[0].split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

async fn serve(mut stream: TcpStream, does: Does, heard: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if n == 0 {
                return;
            }
            continue;
        };
        let length = head
            .lines()
            .find_map(|l| {
                l.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            })
            .and_then(|l| l.trim().parse::<usize>().ok())
            .unwrap_or(0);
        if body.len() >= length || n == 0 {
            heard.lock().expect("no panic").push(text);
            break;
        }
    }
    match does {
        Does::Sends(answer) => {
            let _sent = stream.write_all(&answer).await;
            let _closed = stream.shutdown().await;
        }
        Does::Hangs(answer) => {
            let _sent = stream.write_all(&answer).await;
            // Until the other side has enough of it.
            while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
        }
    }
}

fn http(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}\r\n{body}").into_bytes()
}

fn stream(events: &[Value]) -> Vec<u8> {
    let mut text =
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n"
            .to_owned();
    for event in events {
        text.push_str(&format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap_or("x")
        ));
    }
    text.into_bytes()
}

fn responses(text: &str) -> Vec<Value> {
    let item = json!({"type": "message", "content": [{"type": "output_text", "text": text}]});
    let usage = json!({"input_tokens": 1200, "input_tokens_details": {"cached_tokens": 1000}, "output_tokens": 34});
    vec![
        json!({"type": "response.created", "response": {}}),
        json!({"type": "response.output_item.done", "item": {"type": "message", "content": [{"type": "output_text", "text": "let me see"}]}}),
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": [], "usage": usage}}),
    ]
}

fn messages(text: &str, stop: &str) -> Vec<Value> {
    let (one, two) = text.split_at(text.len() / 2);
    let delta = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 200, "cache_read_input_tokens": 1000, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        delta(one),
        delta(two),
        json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 34}}),
        json!({"type": "message_stop"}),
    ]
}

/// The task's schema without its bounds.
fn loosened() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["comment", "confidence"],
        "properties": {"comment": {"type": "string"}, "confidence": {"type": "number"}},
    })
}

fn answer() -> Value {
    json!({"comment": "Clear.", "confidence": 0.9})
}

pub(crate) fn task() -> AgentTask {
    AgentTask {
        run: RunId::new("run-1").expect("an id"),
        issue: IssueKey::new("A-1").expect("a key"),
        kind: TaskKind::Triage,
        mode: TaskKind::Triage.mode(),
        prompt: "Read the issue.".into(),
        schema: Some(json!({
            "type": "object", "additionalProperties": false, "required": ["comment", "confidence"],
            "properties": {"comment": {"type": "string"}, "confidence": {"type": "number", "minimum": 0, "maximum": 1}},
        })),
        input: Value::Null,
        workdir: None,
        images: Vec::new(),
        model: None,
        session: None,
        state_dir: None,
        loopback: None,
        limits: RunLimits::default(),
    }
}

async fn ask(wire: Wire, does: Does, task: &AgentTask) -> (Service, AgentReport) {
    let service = Service::that(does).await;
    let report = service
        .agent(wire)
        .run(task, &Unwatched)
        .await
        .expect("asked");
    (service, report)
}

async fn outcome(wire: Wire, sends: Vec<u8>) -> AgentOutcome {
    ask(wire, Does::Sends(sends), &task()).await.1.outcome
}

#[tokio::test]
async fn responses_are_asked_with_a_strict_schema_and_their_answer_is_read_and_priced() {
    let (service, report) = ask(
        Wire::Responses,
        Does::Sends(stream(&responses(&answer().to_string()))),
        &task(),
    )
    .await;
    assert_eq!(report.outcome, AgentOutcome::Completed);
    assert_eq!(report.answer, answer());
    let u = report.usage;
    assert_eq!((u.input_tokens, u.output_tokens), (1200, 34));
    // 200 at 3, 1000 at 0.3, 34 at 15 dollars a million.
    assert_eq!(u.cost_micros, Some(600 + 300 + 510));
    let asked = service.asked();
    assert_eq!(asked.len(), 1, "sent once");
    let head = asked[0]
        .split("\r\n\r\n")
        .next()
        .expect("a head")
        .to_ascii_lowercase();
    assert!(
        head.starts_with("post /v1/responses http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("\r\nauthorization: bearer {KEY}\r\n")),
        "{head}"
    );
    assert!(!head.contains("referer"), "{head}");
    assert_eq!(
        service.body(),
        json!({
            "model": "small",
            "stream": true,
            "store": false,
            "max_output_tokens": 8192,
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Read the issue."}]}],
            "text": {"format": {"type": "json_schema", "name": "answer", "strict": true, "schema": loosened()}},
        }),
        "no tools, and no bounds that services do not take"
    );
}

#[tokio::test]
async fn messages_are_asked_with_an_output_format_and_their_answer_is_read_and_priced() {
    let (service, report) = ask(
        Wire::Messages,
        Does::Sends(stream(&messages(&answer().to_string(), "end_turn"))),
        &task(),
    )
    .await;
    assert_eq!(report.outcome, AgentOutcome::Completed);
    assert_eq!(report.answer, answer());
    assert_eq!(
        (report.usage.input_tokens, report.usage.output_tokens),
        (1200, 34)
    );
    assert_eq!(report.usage.cost_micros, Some(1410));
    let head = service.asked()[0]
        .split("\r\n\r\n")
        .next()
        .expect("a head")
        .to_ascii_lowercase();
    assert!(head.starts_with("post /v1/messages http/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("\r\nx-api-key: {KEY}\r\n")),
        "{head}"
    );
    assert!(
        head.contains("\r\nanthropic-version: 2023-06-01\r\n"),
        "{head}"
    );
    assert_eq!(
        service.body(),
        json!({
            "model": "small",
            "stream": true,
            "max_tokens": 8192,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Read the issue."}]}],
            "output_config": {"format": {"type": "json_schema", "schema": loosened()}},
        })
    );
}

#[tokio::test]
async fn a_service_that_does_not_stream_is_understood_too() {
    let json = [("content-type", "application/json; charset=utf-8")];
    let text = answer().to_string();
    let whole = json!({
        "status": "completed", "usage": {"input_tokens": 1, "output_tokens": 2},
        "output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": text}]}],
    });
    assert_eq!(
        outcome(Wire::Responses, http("200 OK", &json, &whole.to_string())).await,
        AgentOutcome::Completed
    );
    let whole = json!({"type": "message", "stop_reason": "end_turn", "content": [{"type": "text", "text": text}], "usage": {}});
    assert_eq!(
        outcome(Wire::Messages, http("200 OK", &json, &whole.to_string())).await,
        AgentOutcome::Completed
    );
}

#[tokio::test]
async fn images_are_sent_as_what_they_are_and_a_file_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().expect("temp dir");
    let png = dir.path().join("a.bin");
    std::fs::write(&png, b"\x89PNG\r\n\x1a\nrest").expect("written");
    let with = |path: PathBuf| AgentTask {
        images: vec![path],
        ..task()
    };
    let text = answer().to_string();
    let (service, _) = ask(
        Wire::Responses,
        Does::Sends(stream(&responses(&text))),
        &with(png.clone()),
    )
    .await;
    assert_eq!(
        service.body()["input"][0]["content"][1]["image_url"],
        "data:image/png;base64,iVBORw0KGgpyZXN0"
    );
    let (service, _) = ask(
        Wire::Messages,
        Does::Sends(stream(&messages(&text, "end_turn"))),
        &with(png),
    )
    .await;
    assert_eq!(
        service.body()["messages"][0]["content"][0]["source"],
        json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgpyZXN0"})
    );
    let text = dir.path().join("b.png");
    std::fs::write(&text, "no picture").expect("written");
    for path in [text, dir.path().join("missing.png")] {
        let service = Service::that(Does::Sends(Vec::new())).await;
        let error = service
            .agent(Wire::Messages)
            .run(&with(path), &Unwatched)
            .await
            .expect_err("no picture");
        assert!(chain(&error).contains("the image "), "{}", chain(&error));
        assert_eq!(
            service.asked().len(),
            0,
            "nothing is asked about a picture nobody sees"
        );
    }
}

#[tokio::test]
async fn what_does_not_fit_is_a_schema_violation_and_a_refusal_a_refusal() {
    for words in [
        "Plain words.",
        "",
        r#"{"comment":"x","confidence":2}"#,
        r#"{"comment":"x","confidence":0.5,"approved":true}"#,
    ] {
        for (wire, events) in [
            (Wire::Responses, responses(words)),
            (Wire::Messages, messages(words, "end_turn")),
        ] {
            let ended = outcome(wire, stream(&events)).await;
            assert!(
                matches!(ended, AgentOutcome::SchemaViolation { .. }),
                "{words}: {ended}"
            );
        }
    }
    let refusal =
        json!({"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]});
    let refused = [
        json!({"type": "response.output_item.done", "item": refusal}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": []}}),
    ];
    let said = AgentOutcome::Refused {
        detail: "I cannot.".into(),
    };
    assert_eq!(outcome(Wire::Responses, stream(&refused)).await, said);
    assert_eq!(
        outcome(Wire::Messages, stream(&messages("I cannot.", "refusal"))).await,
        said
    );
    let cut = json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}});
    for (wire, events) in [
        (Wire::Responses, vec![cut]),
        (Wire::Messages, messages("{", "max_tokens")),
    ] {
        let ended = outcome(wire, stream(&events)).await;
        assert!(
            matches!(&ended, AgentOutcome::SchemaViolation { detail } if detail.contains("output limit")),
            "{ended}"
        );
    }
    let full = messages("{", "model_context_window_exceeded");
    assert_eq!(
        outcome(Wire::Messages, stream(&full)).await,
        AgentOutcome::ContextOverflow
    );
}

#[tokio::test]
async fn limits_of_the_service_come_with_their_time() {
    let error =
        |kind: &str| json!({"error": {"type": kind, "code": kind, "message": "no"}}).to_string();
    for wire in [Wire::Responses, Wire::Messages] {
        let sends = http(
            "429 Too Many Requests",
            &[("retry-after", "90")],
            &error("rate_limit_error"),
        );
        let before = SystemClock.now();
        let ended = outcome(wire, sends).await;
        let AgentOutcome::RateLimited { until: Some(until) } = ended else {
            panic!("{ended}");
        };
        let after = SystemClock.now();
        let ninety = Duration::from_secs(90);
        assert!(
            until >= before.plus(ninety) && until <= after.plus(ninety),
            "{until}"
        );
        let quota = http("429 Too Many Requests", &[], &error("insufficient_quota"));
        assert_eq!(
            outcome(wire, quota).await,
            AgentOutcome::UsageLimit { until: None }
        );
        let crowded = http("529 Overloaded", &[], &error("overloaded_error"));
        assert_eq!(
            outcome(wire, crowded).await,
            AgentOutcome::RateLimited { until: None }
        );
        let failed = outcome(wire, http("500 Internal Server Error", &[], "oops")).await;
        assert!(
            matches!(failed, AgentOutcome::ProviderFailed { .. }),
            "{failed}"
        );
    }
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}});
    assert_eq!(
        outcome(Wire::Responses, stream(&[failed])).await,
        AgentOutcome::RateLimited { until: None }
    );
    let failed =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert_eq!(
        outcome(Wire::Messages, stream(&[failed])).await,
        AgentOutcome::RateLimited { until: None }
    );
}

#[tokio::test]
async fn cut_and_garbled_answers_are_no_success_and_no_hang() {
    for wire in [Wire::Responses, Wire::Messages] {
        let whole = stream(&responses(&answer().to_string()));
        let half = whole[..whole.len() - 40].to_vec();
        let garbage = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\ndata: <html>\n\n".to_vec();
        for sends in [half, garbage, Vec::new(), b"SSH-2.0-no\r\n".to_vec()] {
            let ended = outcome(wire, sends).await;
            assert!(
                matches!(ended, AgentOutcome::ProviderFailed { .. }),
                "{ended}"
            );
        }
    }
    // Nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/v1", listener.local_addr().expect("bound"));
    drop(listener);
    let address = Url::parse(&address).expect("an address");
    let agent = ApiAgent::builder("api", Wire::Messages, address, "m", Secret::new(KEY))
        .build()
        .expect("usable");
    let ended = agent.run(&task(), &Unwatched).await.expect("asked").outcome;
    assert!(
        matches!(&ended, AgentOutcome::ProviderFailed { detail } if detail.starts_with("no connection")),
        "{ended}"
    );
}

#[tokio::test]
async fn silence_a_flood_and_the_deadline_end_a_run() {
    let limits = |change: fn(&mut RunLimits)| {
        let mut task = task();
        change(&mut task.limits);
        task
    };
    let begun = stream(&responses("x")[..1]);
    let stall = limits(|l| l.stall = Some(Duration::from_millis(50)));
    for silent in [Vec::new(), begun.clone()] {
        assert_eq!(
            ask(Wire::Responses, Does::Hangs(silent), &stall)
                .await
                .1
                .outcome,
            AgentOutcome::Stalled
        );
    }
    let deadline = limits(|l| l.deadline = Duration::from_millis(50));
    assert_eq!(
        ask(Wire::Responses, Does::Hangs(begun), &deadline)
            .await
            .1
            .outcome,
        AgentOutcome::Deadline
    );
    let small = limits(|l| l.output_bytes = 1000);
    let mut flood = stream(&[]);
    flood.extend(std::iter::repeat_n(b'x', 100_000));
    assert_eq!(
        ask(Wire::Messages, Does::Sends(flood), &small)
            .await
            .1
            .outcome,
        AgentOutcome::Flooded
    );
}

#[tokio::test]
async fn more_than_it_may_use_is_no_success() {
    let mut over = task();
    over.limits.tokens = Some(1000);
    let sends = Does::Sends(stream(&responses(&answer().to_string())));
    let (service, report) = ask(Wire::Responses, sends.clone(), &over).await;
    assert_eq!(report.outcome, AgentOutcome::OverBudget);
    assert_eq!(report.answer, Value::Null);
    assert_eq!(
        report.usage.output_tokens, 34,
        "what was used is told all the same"
    );
    assert_eq!(service.body()["max_output_tokens"], 1000);
    over.limits.tokens = None;
    over.limits.cost_micros = Some(1409);
    assert_eq!(
        ask(Wire::Responses, sends, &over).await.1.outcome,
        AgentOutcome::OverBudget
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_error_names_key_or_address() {
    let other = Service::that(Does::Sends(stream(&responses("x")))).await;
    let to = http("302 Found", &[("location", other.address.as_str())], "");
    let wrong = json!({"error": {"code": "invalid_api_key", "message": format!("Incorrect API key provided: {KEY}.")}});
    let lost = json!({"error": {"message": format!("no model for {KEY}")}});
    for sends in [
        to,
        http("401 Unauthorized", &[], &wrong.to_string()),
        http("404 Not Found", &[], &lost.to_string()),
        http("500 Internal Server Error", &[], &lost.to_string()),
        Vec::new(),
    ] {
        let service = Service::that(Does::Sends(sends)).await;
        let agent = service.agent(Wire::Responses);
        let said = match agent.run(&task(), &Unwatched).await {
            Ok(report) => format!("{} {report:?}", report.outcome),
            Err(error) => format!("{} {error:?}", chain(&error)),
        };
        let said = format!("{said} {agent:?}");
        assert!(!said.contains(KEY) && !said.contains("127.0.0.1"), "{said}");
    }
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn tasks_that_need_hands_or_eyes_in_a_repository_are_refused_before_anything_is_sent() {
    let service = Service::that(Does::Sends(Vec::new())).await;
    let agent = service.agent(Wire::Responses);
    let mut refused = Vec::new();
    for kind in [
        TaskKind::Implement,
        TaskKind::Rework,
        TaskKind::LocalCheck,
        TaskKind::Recheck,
    ] {
        let task = AgentTask {
            kind,
            mode: kind.mode(),
            ..task()
        };
        refused.push(
            agent
                .run(&task, &Unwatched)
                .await
                .expect_err("refused")
                .to_string(),
        );
    }
    let with_files = AgentTask {
        kind: TaskKind::Repair,
        workdir: Some(PathBuf::from("/")),
        ..task()
    };
    refused.push(
        agent
            .run(&with_files, &Unwatched)
            .await
            .expect_err("refused")
            .to_string(),
    );
    assert_eq!(
        refused.join("\n"),
        "agent api cannot change files: it is a bare model without tools\n\
         agent api cannot change files: it is a bare model without tools\n\
         agent api cannot inspect a repository: it is a bare model without tools\n\
         agent api cannot inspect a repository: it is a bare model without tools\n\
         agent api cannot inspect a repository: it is a bare model without tools"
    );
    assert_eq!(service.asked().len(), 0);
}

#[test]
fn an_address_that_would_give_the_key_away_makes_no_agent() {
    let build = |address: &str, key: &str| {
        let address = Url::parse(address).expect("an address");
        let built =
            ApiAgent::builder("api", Wire::Responses, address, "m", Secret::new(key)).build();
        built
            .map(|_| ())
            .map_err(|e: InvalidApiAgent| e.to_string())
    };
    for usable in [
        "https://models.example/v1",
        "http://127.0.0.1:9/v1",
        "http://[::1]/",
        "http://localhost/x",
    ] {
        assert_eq!(build(usable, "k"), Ok(()), "{usable}");
    }
    for unusable in [
        "http://models.example/v1",
        "ftp://models.example",
        "https://user:canary@models.example/v1",
        "https://models.example/v1?key=canary",
        "data:text/plain,x",
    ] {
        let said = build(unusable, "k").expect_err(unusable);
        assert!(!said.contains("canary"), "{said}");
    }
    assert!(build("https://models.example", "").is_err());
    assert!(build("https://models.example", "a\nb").is_err());
}
