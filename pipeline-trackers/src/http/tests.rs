//! The client against a small server.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::Timestamp;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::report::chain;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::TrackerError;
use serde_json::Value;

use super::*;
use crate::fake::FakeAnswer;
use crate::fake::FakeRequest;
use crate::fake::FakeServer;
use crate::fake::FakeService;
use crate::fake::Fault;
use crate::fake::TooMany;

const CANARY: &str = "cAnary/+\"7f3e&=%91";

/// Counts what is written to it, and leads readers about.
#[derive(Debug, Default)]
struct Counter {
    written: AtomicUsize,
}

impl FakeService for Counter {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_123)
    }

    fn answer(&self, request: &FakeRequest) -> FakeAnswer {
        if request.is_write() {
            self.written.fetch_add(1, Ordering::SeqCst);
        }
        match request.segments.last().map(String::as_str) {
            Some("moved") => FakeAnswer::empty(301).with_header("location", "/api/here?a=1"),
            Some("elsewhere") => {
                FakeAnswer::empty(302).with_header("location", "http://127.0.0.2:1/x")
            }
            Some("round") => FakeAnswer::empty(302).with_header("location", "/api/round"),
            Some("long") => FakeAnswer::bytes(200, "text/plain", vec![b'x'; 5000]),
            Some("forbidden") => FakeAnswer::json(
                403,
                &serde_json::json!({ "message": format!("no\u{1b}[31m {}", "x".repeat(2000)) }),
            ),
            _ => FakeAnswer::json(200, &serde_json::json!({ "path": request.path })),
        }
    }

    fn too_many(&self, form: TooMany) -> FakeAnswer {
        let answer = FakeAnswer::text(429, "Retry later");
        match form {
            TooMany::WithHeaders => answer.with_header("retry-after", 7),
            TooMany::ResetOnly => {
                answer.with_header("retry-after", "Tue, 14 Nov 2023 22:13:31 GMT")
            }
            TooMany::Untold => answer,
        }
    }
}

#[derive(Debug)]
struct Plain;

impl Service for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }
    fn limits(&self) -> &[(&'static str, usize)] {
        &[]
    }
    fn rate(&self, _: &Answer) -> Option<Rate> {
        None
    }
    fn said(&self, answer: &Answer) -> Option<String> {
        let body: Value = answer.json().ok()?;
        Some(body.get("message")?.as_str()?.to_owned())
    }
    fn refusal(&self, _: &Request, _: &Answer) -> Option<TrackerError> {
        None
    }
}

struct World {
    server: FakeServer<Counter>,
    clock: Arc<ScriptedClock>,
    client: Client,
}

fn world() -> World {
    world_with(
        Credential::Header("private-token", Secret::new("glpat-x")),
        &ConnectionOptions::default().seed(1),
    )
}

fn world_with(credential: Credential, options: &ConnectionOptions) -> World {
    let server = FakeServer::start(Counter::default()).unwrap();
    let clock = Arc::new(ScriptedClock::jumping(Timestamp::EPOCH));
    let base = server.url().join("api/").unwrap();
    let client = Client::new(base, credential, Plain, options, Arc::clone(&clock) as _).unwrap();
    World {
        server,
        clock,
        client,
    }
}

fn read() -> Request {
    Request::get("read the thread")
        .at(["a/b", "12"])
        .of("issue 12")
}

fn write() -> Request {
    Request::post("comment")
        .at(["12"])
        .body(Body::Json(serde_json::json!({ "body": "x" })))
        .of("issue 12")
}

#[tokio::test]
async fn a_segment_is_encoded_whole_and_the_date_is_the_servers() {
    let w = world();
    let (value, answer) = w.client.read_json::<Value>(&read()).await.unwrap();
    assert_eq!(value, serde_json::json!({ "path": "/api/a%2Fb/12" }));
    assert_eq!(answer.date, Timestamp::from_millis(1_700_000_000_000));
    let asked = &w.server.log().all()[0];
    assert_eq!(asked.header("private-token"), Some("glpat-x"));
    assert_eq!(asked.header("referer"), None);
    assert_eq!(asked.parameter("private-token"), None);
}

#[tokio::test]
async fn a_read_is_repeated_until_it_is_whole() {
    for fault in [
        Fault::Lost { landed: false },
        Fault::ServerError { landed: false },
        Fault::BadGateway { landed: false },
        Fault::Truncated,
        Fault::NotJson,
        Fault::TooMany(TooMany::WithHeaders),
        Fault::TooMany(TooMany::Untold),
    ] {
        let w = world();
        w.server.faults().next(2, fault);
        let read = w.client.read_json::<Value>(&read()).await;
        assert!(read.is_ok(), "{fault:?}: {read:?}");
        assert_eq!(w.server.log().len(), 3, "{fault:?}");
        assert!(w.clock.elapsed() >= Duration::from_millis(750), "{fault:?}");
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_in_both_its_forms() {
    for (form, wait) in [
        (TooMany::WithHeaders, 7),
        (TooMany::ResetOnly, 11),
        (TooMany::Untold, 60),
    ] {
        let w = world();
        w.server.faults().next(1, Fault::TooMany(form));
        w.client.read(&read()).await.unwrap();
        assert_eq!(w.clock.elapsed(), Duration::from_secs(wait), "{form:?}");
    }
}

#[tokio::test]
async fn a_read_gives_up_in_the_end() {
    let w = world();
    w.server
        .faults()
        .next(100, Fault::BadGateway { landed: false });
    let error = w.client.read(&read()).await.unwrap_err();
    assert!(
        matches!(error, TrackerError::Unavailable { .. }),
        "{error:?}"
    );
    assert_eq!(w.server.log().len(), 5);
}

#[tokio::test]
async fn a_write_is_sent_once_and_its_outcome_unknown_once_it_may_have_arrived() {
    for (fault, written) in [
        (Fault::Lost { landed: false }, 0),
        (Fault::Lost { landed: true }, 1),
        (Fault::ServerError { landed: false }, 0),
        (Fault::ServerError { landed: true }, 1),
        (Fault::BadGateway { landed: true }, 1),
        (Fault::Truncated, 1),
        (Fault::NotJson, 1),
    ] {
        let w = world();
        w.server.faults().next_write(1, fault);
        let error = w.client.write_json::<Value>(&write()).await.unwrap_err();
        assert!(
            matches!(&error, TrackerError::OutcomeUnknown { issue, .. } if issue == "issue 12"),
            "{fault:?}: {error:?}"
        );
        assert_eq!(w.server.log().len(), 1, "{fault:?}");
        assert_eq!(
            w.server.service().written.load(Ordering::SeqCst),
            written,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_write_is_no_unknown_outcome() {
    let w = world();
    w.server
        .faults()
        .next_write(1, Fault::TooMany(TooMany::WithHeaders));
    let error = w.client.write(&write()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(w.server.service().written.load(Ordering::SeqCst), 0);
    // Whoever comes next keeps the wait that the first was asked for.
    w.client.write(&write()).await.unwrap();
    assert_eq!(w.clock.elapsed(), Duration::from_secs(7));
}

#[tokio::test]
async fn a_server_that_is_not_there_has_received_nothing() {
    let w = world();
    let World { server, client, .. } = w;
    drop(server);
    let error = client.write(&write()).await.unwrap_err();
    assert!(
        matches!(error, TrackerError::Unavailable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_silent_server_is_left_after_the_deadline() {
    let options = ConnectionOptions::default().timeout(Duration::from_secs(3));
    let w = world_with(Credential::Nothing, &options);
    w.server
        .faults()
        .next_write(1, Fault::Stalled { landed: true });
    let error = w.client.write(&write()).await.unwrap_err();
    assert!(
        matches!(error, TrackerError::OutcomeUnknown { .. }),
        "{error:?}"
    );
    assert!(
        chain(&error).contains("no answer in time"),
        "{}",
        chain(&error)
    );
    assert_eq!(w.server.service().written.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn reads_follow_a_redirect_at_home_only_and_writes_none() {
    let w = world();
    let moved = Request::get("look").at(["moved"]);
    let (value, _) = w.client.read_json::<Value>(&moved).await.unwrap();
    assert_eq!(value, serde_json::json!({ "path": "/api/here" }));
    assert_eq!(
        w.server.log().all()[1].header("private-token"),
        Some("glpat-x")
    );
    for away in ["elsewhere", "round"] {
        let read = w.client.read(&Request::get("look").at([away])).await;
        assert!(read.is_err(), "{away}");
    }
    w.server.log().clear();
    let error = w
        .client
        .write(&Request::post("comment").at(["moved"]))
        .await
        .unwrap_err();
    assert!(matches!(error, TrackerError::Other { .. }), "{error:?}");
    assert_eq!(w.server.log().len(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let w = world();
    let request = Request::get("fetch a file").at(["long"]).of("attachment 1");
    assert_eq!(w.client.read(&request).await.unwrap().body.len(), 5000);
    let error = w.client.read(&request.at_most(4999)).await.unwrap_err();
    assert!(
        matches!(error, TrackerError::TooLarge { limit: 4999, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_is_repeated_in_one_short_line() {
    let w = world();
    let request = Request::post("comment").at(["forbidden"]);
    let said = w.client.write(&request).await.unwrap_err().to_string();
    assert!(
        said.starts_with("plain does not let this account comment (it says: no [31m xx"),
        "{said}"
    );
    assert!(
        said.len() < 500 && !said.contains(char::is_control),
        "{said}"
    );
}

#[tokio::test]
async fn a_credential_goes_over_tls_or_nowhere() {
    for (address, safe) in [
        ("http://gitlab.example/", false),
        ("http://127.0.0.1.example/", false),
        ("ftp://localhost/", false),
        ("https://gitlab.example/", true),
        ("http://[::1]:8080/", true),
        ("http://localhost/", true),
    ] {
        let clock = Arc::new(ScriptedClock::jumping(Timestamp::EPOCH));
        let url = url::Url::parse(address).unwrap();
        let options = ConnectionOptions::default();
        let made = Client::new(url, Credential::Nothing, Plain, &options, clock as _);
        assert_eq!(made.is_ok(), safe, "{address}");
    }
}

#[tokio::test]
async fn no_error_and_no_debug_shows_the_credential() {
    let canary = Secret::new(CANARY);
    let redactor = Redactor::new([&canary]);
    let kinds = [
        Credential::Header("private-token", canary.clone()),
        Credential::Query("apiKey", canary.clone()),
    ];
    for credential in kinds {
        for fault in [
            Fault::Lost { landed: true },
            Fault::Truncated,
            Fault::NotJson,
            Fault::Unauthenticated,
            Fault::NotFound,
            Fault::TooMany(TooMany::WithHeaders),
        ] {
            let w = world_with(credential.clone(), &ConnectionOptions::default());
            w.server.faults().next(100, fault);
            let read = w.client.read_json::<Value>(&read()).await.unwrap_err();
            let write = w.client.write_json::<Value>(&write()).await.unwrap_err();
            for shown in [
                chain(&read),
                chain(&write),
                format!(
                    "{read:?} {write:?} {:?} {:?}",
                    w.client,
                    super::tests::read()
                ),
            ] {
                assert!(!redactor.finds(&shown), "{}", redactor.redact(&shown));
            }
        }
        // Even where the server is gone.
        let w = world_with(credential.clone(), &ConnectionOptions::default());
        let World { server, client, .. } = w;
        drop(server);
        let error = client.read(&read()).await.unwrap_err();
        let shown = format!("{error:?} {}", chain(&error));
        assert!(!redactor.finds(&shown), "{}", redactor.redact(&shown));
    }
}

/// Gives one token after the other.
#[derive(Debug)]
struct Tokens(std::sync::Mutex<Vec<&'static str>>);

#[async_trait::async_trait]
impl TokenSource for Tokens {
    async fn current(&self) -> Result<Secret, TrackerError> {
        Ok(Secret::new(*self.0.lock().unwrap().first().unwrap()))
    }

    async fn renewed(&self, refused: &Secret) -> Result<Option<Secret>, TrackerError> {
        let mut tokens = self.0.lock().unwrap();
        if tokens.first() == Some(&refused.expose()) {
            tokens.remove(0);
        }
        Ok(tokens.first().map(|t| Secret::new(*t)))
    }
}

#[tokio::test]
async fn a_refused_bearer_token_is_renewed_once_even_for_a_write() {
    let tokens = Arc::new(Tokens(std::sync::Mutex::new(vec!["old", "new"])));
    let w = world_with(Credential::Bearer(tokens), &ConnectionOptions::default());
    w.server.faults().next(1, Fault::Unauthenticated);
    w.client.write(&write()).await.unwrap();
    let sent: Vec<_> = w.server.log().all();
    let sent: Vec<_> = sent
        .iter()
        .map(|r| r.header("authorization").unwrap())
        .collect();
    assert_eq!(sent, ["Bearer old", "Bearer new"]);
    assert_eq!(w.server.service().written.load(Ordering::SeqCst), 1);
}

/// Gives a first token once; when it is sent, another request has had the next one made already.
#[derive(Debug)]
struct RenewedMeanwhile {
    asked: AtomicUsize,
    refused: std::sync::Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl TokenSource for RenewedMeanwhile {
    async fn current(&self) -> Result<Secret, TrackerError> {
        let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(Secret::new(if first { "old" } else { "new" }))
    }

    async fn renewed(&self, refused: &Secret) -> Result<Option<Secret>, TrackerError> {
        let mut all = self.refused.lock().unwrap();
        all.push(refused.expose().to_owned());
        Ok(Some(Secret::new("new")))
    }
}

#[tokio::test]
async fn the_token_that_was_sent_is_called_refused_and_not_the_one_another_request_got() {
    let tokens = Arc::new(RenewedMeanwhile {
        asked: AtomicUsize::new(0),
        refused: std::sync::Mutex::default(),
    });
    let credential = Credential::Bearer(Arc::clone(&tokens) as _);
    let w = world_with(credential, &ConnectionOptions::default());
    w.server.faults().next(1, Fault::Unauthenticated);
    w.client.write(&write()).await.unwrap();
    assert_eq!(*tokens.refused.lock().unwrap(), ["old"]);
}
