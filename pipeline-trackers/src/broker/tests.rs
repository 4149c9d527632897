//! What the broker lets through, and everything it does not.

use pipeline_core::clock::Timestamp;
use pipeline_core::tracker::PlainDialect;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::*;
use crate::fake::FakeAnswer;
use crate::fake::FakeRequest;
use crate::fake::FakeServer;
use crate::fake::FakeService;
use crate::fake::TooMany;

#[path = "tests/planned.rs"]
mod planned;

const TOKEN: &str = "glpat-canary-0123456789";
const PROJECT: &str = "/api/v4/projects/group%2Fshop";

/// A tracker that answers what it was told to, and says the same about everything else.
#[derive(Debug, Default)]
struct Upstream;

impl FakeService for Upstream {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
    fn answer(&self, request: &FakeRequest) -> FakeAnswer {
        match request.parameter("search") {
            Some("echo") => {
                FakeAnswer::text(200, request.header("private-token").unwrap_or_default())
            }
            Some("elsewhere") => {
                FakeAnswer::empty(302).with_header("location", "https://attacker.example/")
            }
            Some("secrets") => FakeAnswer::json(
                200,
                &json!([{"id": 1, "runners_token": "GR-canary", "n": {"import_url": "https://u:canary@x/"}, "token_ttl": 5}]),
            ),
            Some("huge") => FakeAnswer::bytes(200, "application/json", vec![b'x'; 100_000]),
            _ => FakeAnswer::json(201, &json!({"iid": 1, "web_url": "x"}))
                .with_header("x-next-page", "2")
                .with_header("set-cookie", "a=b"),
        }
    }
    fn too_many(&self, _: TooMany) -> FakeAnswer {
        FakeAnswer::text(429, "Retry later")
    }
}

/// Quotes commands, as GitLab's does.
#[derive(Debug)]
struct Commands;

impl Dialect for Commands {
    fn neutralise(&self, text: &str) -> String {
        let lines = text.split('\n').map(|l| {
            if l.starts_with('/') {
                format!("> {l}")
            } else {
                l.to_owned()
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
    fn max_chars(&self) -> usize {
        1000
    }
    fn key_prefix(&self) -> &str {
        ""
    }
}

struct World {
    upstream: FakeServer<Upstream>,
    broker: Broker,
}

impl World {
    async fn with(change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let upstream = FakeServer::start(Upstream).unwrap();
        let url = upstream.url().join(PROJECT).unwrap();
        let mut options = BrokerOptions {
            upstream: url,
            token: Secret::new(TOKEN),
            place: TokenPlace::Header("PRIVATE-TOKEN"),
            rules: BrokerRules::gitlab(),
            limits: BrokerLimits {
                request_bytes: 2_000,
                answer_bytes: 50_000,
                ..BrokerLimits::default()
            },
            dialect: Arc::new(Commands),
            connection: ConnectionOptions::default(),
            door: Door::default(),
            seen_as: None,
            planned: None,
        };
        change(&mut options);
        let broker = Broker::start(options).await.unwrap();
        Self { upstream, broker }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Sends bytes as they are and returns the status and the body.
    async fn raw(&self, bytes: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.broker.shared.seen_as)
            .await
            .unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        (status, answer)
    }

    /// Sends a well-formed request with the placeholder.
    async fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> (u16, String) {
        let token = self.broker.placeholder();
        let host = self.broker.shared.seen_as;
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        self.raw(&format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nprivate-token: {token}\r\nconnection: close\r\n{length}{headers}\r\n{body}"))
            .await
    }

    async fn get(&self, below: &str) -> (u16, String) {
        self.ask("GET", &format!("{PROJECT}{below}"), "", "").await
    }

    async fn post(&self, below: &str, kind: &str, body: &str) -> (u16, String) {
        self.ask(
            "POST",
            &format!("{PROJECT}{below}"),
            &format!("content-type: {kind}\r\n"),
            body,
        )
        .await
    }

    fn last(&self) -> Option<Refusal> {
        self.broker.calls().last().and_then(|c| c.refused)
    }
}

const JSON: &str = "application/json";

#[tokio::test]
async fn a_named_call_gets_the_token_and_the_tracker_s_answer() {
    let world = World::new().await;
    let (status, answer) = world
        .post(
            "/issues",
            JSON,
            r#"{"title":"a","description":"b\n/close","labels":["x"]}"#,
        )
        .await;
    assert_eq!(status, 201, "{answer}");
    assert!(
        answer.contains(r#""iid":1"#)
            && answer.contains("x-next-page: 2")
            && !answer.contains("set-cookie")
    );
    let asked = world.upstream.log().all();
    let [request] = &asked[..] else {
        panic!("one request")
    };
    assert_eq!(request.header("private-token"), Some(TOKEN));
    assert_eq!(request.path, format!("{PROJECT}/issues"));
    assert_eq!(
        request.json(),
        json!({"title": "a", "description": "b\n> /close", "labels": ["x"]}),
        "what would be a command is text"
    );
    assert!(!format!("{:?}", request.headers).contains("placeholder"));
    let (status, _) = world
        .post(
            "/issues",
            "application/x-www-form-urlencoded; charset=utf-8",
            "title=a&description=%2Fclose",
        )
        .await;
    assert_eq!(status, 201);
    assert_eq!(world.upstream.log().all()[1].form()[1].1, "> /close");
    assert_eq!(world.get("/issues?state=all&per_page=100").await.0, 201);
    assert_eq!(world.get("/issues/12").await.0, 201);
    assert_eq!(world.get("").await.0, 201);
    assert!(world.broker.calls().iter().all(|c| c.refused.is_none()));
}

#[tokio::test]
async fn the_placeholder_is_taken_wherever_a_client_puts_its_token() {
    let world = World::new().await;
    let (host, token) = (
        world.broker.shared.seen_as,
        world.broker.placeholder().to_owned(),
    );
    let target = format!("{PROJECT}/issues");
    for (target, header) in [
        (target.clone(), format!("authorization: Bearer {token}\r\n")),
        (format!("{target}?private_token={token}"), String::new()),
        (target.clone(), format!("PRIVATE-TOKEN: {token}\r\n")),
    ] {
        let (status, answer) = world
            .raw(&format!(
                "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{header}\r\n"
            ))
            .await;
        assert_eq!(status, 201, "{answer}");
    }
    for header in [
        "",
        "private-token: wrong\r\n",
        "private-token: glpat-x\r\nauthorization: Bearer x\r\n",
    ] {
        let (status, _) = world
            .raw(&format!(
                "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{header}\r\n"
            ))
            .await;
        assert_eq!((status, world.last()), (401, Some(Refusal::Placeholder)));
    }
    let upstream = world.upstream.log().all();
    assert!(
        upstream
            .iter()
            .all(|r| r.query.is_empty() && r.header("authorization").is_none())
    );
}

#[tokio::test]
async fn tricks_with_the_path_are_refused() {
    let world = World::new().await;
    for below in [
        "/issues/../../other/issues",
        "/./issues",
        "//issues",
        "/issues/",
        "/issues/%2e%2e/labels",
        "/issues%2f..%2f..%2fother",
        "/%69ssues",
        "/issues/1%00",
        "/issues;x=1",
        "/issues/1\\..\\2",
        "x/issues",
        "/issues/1%0d%0aPRIVATE-TOKEN:x",
    ] {
        let (status, _) = world.get(below).await;
        assert_eq!(
            (status, world.last()),
            (400, Some(Refusal::Address)),
            "{below}"
        );
    }
    for target in [
        format!("http://127.0.0.1{PROJECT}/issues"),
        format!("http://attacker.example{PROJECT}/issues"),
        "/api/v4/projects/other/issues".to_owned(),
        "/api/v4/projects/group/shop/issues".to_owned(),
        "/api/v4/projects/group%2fshop/issues".to_owned(),
        "/api/v4/user".to_owned(),
        "/".to_owned(),
        "*".to_owned(),
    ] {
        let (status, _) = world.ask("GET", &target, "", "").await;
        assert_eq!(
            (status, world.last()),
            (400, Some(Refusal::Address)),
            "{target}"
        );
    }
    assert_eq!(
        world.upstream.log().len(),
        0,
        "nothing of it reached the tracker"
    );
}

#[tokio::test]
async fn other_methods_places_parameters_and_hosts_are_refused() {
    let world = World::new().await;
    for (method, below) in [
        ("DELETE", "/issues/1"),
        ("PUT", "/issues/1"),
        ("PATCH", "/issues/1"),
        ("HEAD", "/issues"),
        ("OPTIONS", "/issues"),
        ("POST", "/issues/1/notes"),
        ("GET", "/members"),
        ("GET", "/variables"),
        ("POST", "/issues/1"),
        ("GET", "/issues/1x"),
    ] {
        let (status, _) = world
            .ask(method, &format!("{PROJECT}{below}"), "", "")
            .await;
        assert_eq!(
            (status, world.last()),
            (403, Some(Refusal::NotNamed)),
            "{method} {below}"
        );
    }
    for below in ["/issues?sudo=root", "/issues?foo=1", "/issues/1?x=y"] {
        world.get(below).await;
        assert_eq!(world.last(), Some(Refusal::Parameter), "{below}");
    }
    for header in [
        "sudo: root\r\n",
        "x-http-method-override: DELETE\r\n",
        "x-forwarded-host: x\r\n",
        "cookie: a=b\r\n",
        "job-token: x\r\n",
    ] {
        world
            .ask("GET", &format!("{PROJECT}/issues"), header, "")
            .await;
        assert_eq!(world.last(), Some(Refusal::Header), "{header}");
    }
    let token = world.broker.placeholder().to_owned();
    for hosts in ["host: attacker.example\r\n", "", "host: 127.0.0.1:1\r\n"] {
        world.raw(&format!("GET {PROJECT}/issues HTTP/1.1\r\n{hosts}private-token: {token}\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(world.last(), Some(Refusal::Host), "{hosts}");
    }
    world
        .ask(
            "GET",
            &format!("{PROJECT}/issues"),
            "origin: https://attacker.example\r\n",
            "",
        )
        .await;
    assert_eq!(world.last(), Some(Refusal::Host));
    assert_eq!(world.upstream.log().len(), 0);
}

#[tokio::test]
async fn injected_headers_never_reach_the_tracker() {
    let world = World::new().await;
    let (host, token) = (
        world.broker.shared.seen_as,
        world.broker.placeholder().to_owned(),
    );
    // A bare line feed in a value, a folded line, two lengths, a length beside chunks.
    for bytes in [
        format!(
            "GET {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\nprivate-token: {token}\r\nx: a\rsudo: root\r\n\r\n"
        ),
        format!(
            "GET {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\nprivate-token: {token}\r\nx: a\r\n sudo: root\r\n\r\n"
        ),
        format!(
            "POST {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\nprivate-token: {token}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{{}}"
        ),
        format!(
            "POST {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\nprivate-token: {token}\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET {PROJECT}/user HTTP/1.1\r\n\r\n"
        ),
        format!("GET {PROJECT}/issues\r\nsudo: root HTTP/1.1\r\nhost: {host}\r\n\r\n"),
    ] {
        let (status, _) = world.raw(&bytes).await;
        assert!(!(200..300).contains(&status), "{status}: {bytes}");
    }
    // What a value may hold stays in its own place.
    world
        .post("/issues", JSON, r#"{"title":"a\r\nsudo: root"}"#)
        .await;
    let asked = world.upstream.log().all();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("sudo"), None);
}

#[tokio::test]
async fn bodies_hold_named_fields_of_a_bounded_size_only() {
    let world = World::new().await;
    for (kind, body) in [
        (JSON, r#"{"title":"a","assignee_ids":[1]}"#),
        (JSON, r#"{"title":"a","confidential":true}"#),
        (JSON, r#"{"title":{"x":1}}"#),
        (JSON, r#"[1]"#),
        (JSON, "{"),
        ("application/x-www-form-urlencoded", "title=a&sudo=root"),
        ("multipart/form-data; boundary=x", "--x--"),
        ("text/plain", "title=a"),
    ] {
        let (status, _) = world.post("/issues", kind, body).await;
        assert_eq!((status, world.last()), (422, Some(Refusal::Body)), "{body}");
    }
    let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(3_000));
    assert_eq!(world.post("/issues", JSON, &long).await.0, 413);
    world
        .ask("GET", &format!("{PROJECT}/issues"), "", "{}")
        .await;
    assert_eq!(world.last(), Some(Refusal::Body));
    assert_eq!(world.upstream.log().len(), 0);
}

#[tokio::test]
async fn answers_that_leak_lead_elsewhere_or_flood_are_withheld() {
    let world = World::new().await;
    for search in ["echo", "elsewhere", "huge"] {
        let (status, answer) = world.get(&format!("/issues?search={search}")).await;
        assert_eq!(
            (status, world.last()),
            (502, Some(Refusal::Answer)),
            "{search}"
        );
        assert!(!answer.contains(TOKEN));
    }
}

#[tokio::test]
async fn other_credentials_in_an_answer_are_taken_out() {
    let w = World::new().await;
    let (status, said) = w.get("/issues?search=secrets").await;
    assert_eq!(status, 200);
    assert!(!said.contains("canary"), "{said}");
    assert!(said.contains("token_ttl"), "{said}");
}

#[tokio::test]
async fn texts_in_a_list_are_made_harmless_too() {
    let w = World::new().await;
    let body = r#"{"title":"x","description":["/close"]}"#;
    let (status, _) = w.post("/issues", "application/json", body).await;
    assert_eq!(status, 201);
    let sent = w.upstream.log().all().pop().unwrap();
    let text = String::from_utf8_lossy(&sent.body).into_owned();
    assert!(text.contains("> /close"), "{text}");
}

#[tokio::test]
async fn a_life_without_end_ends_all_the_same() {
    World::with(|options| options.limits.lifetime = Duration::MAX).await;
}

#[tokio::test]
async fn too_many_calls_and_writes_are_refused() {
    let world = World::with(|o| (o.limits.calls, o.limits.writes) = (4, 1)).await;
    assert_eq!(world.post("/issues", JSON, r#"{"title":"a"}"#).await.0, 201);
    assert_eq!(world.post("/issues", JSON, r#"{"title":"a"}"#).await.0, 429);
    assert_eq!(world.get("/issues").await.0, 201);
    assert_eq!(world.get("/members").await.0, 403);
    assert_eq!(world.get("/issues").await.0, 429, "refused calls count too");
    assert_eq!(world.last(), Some(Refusal::TooMany));
}

#[tokio::test]
async fn nobody_without_the_placeholder_uses_up_what_the_run_may_do() {
    let world = World::with(|o| (o.limits.calls, o.limits.writes) = (3, 1)).await;
    let host = world.broker.shared.seen_as;
    for at in 0..150 {
        // No token, a wrong one, another host's, a body that would write.
        let head = match at % 4 {
            0 => format!("GET {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\n"),
            1 => format!("GET {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\nprivate-token: x\r\n"),
            2 => format!("GET {PROJECT}/issues HTTP/1.1\r\nhost: attacker.example\r\n"),
            _ => format!("POST {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n"),
        };
        world
            .raw(&format!("{head}connection: close\r\n\r\n{{}}"))
            .await;
    }
    let calls = world.broker.calls();
    assert!(
        calls
            .iter()
            .all(|call| matches!(call.refused, Some(Refusal::Placeholder | Refusal::Host)))
    );
    assert_eq!(
        calls.len(),
        100,
        "strangers fill no more of the log than this"
    );
    assert_eq!(world.post("/issues", JSON, r#"{"title":"a"}"#).await.0, 201);
    assert_eq!(world.get("/issues").await.0, 201);
    assert_eq!(world.get("/members").await.0, 403);
    assert_eq!(world.get("/issues").await.0, 429);
    assert_eq!(
        world.broker.used().to_string(),
        "3 of 3 calls used, 1 of 1 that write; 150 without the placeholder, refused and not counted"
    );
    assert_eq!(
        world.broker.calls().len(),
        104,
        "the run's own calls are all there"
    );
}

#[tokio::test]
async fn after_its_time_it_refuses_and_after_its_run_it_is_gone() {
    let world = World::with(|o| o.limits.lifetime = Duration::ZERO).await;
    assert_eq!(world.get("/issues").await.0, 403);
    assert_eq!(world.last(), Some(Refusal::Expired));
    let world = World::new().await;
    let address = world.broker.shared.seen_as;
    let calls = world.broker.stop().await;
    assert_eq!(calls, []);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn on_backlog_the_key_stands_in_the_query_and_only_one_project_is_named() {
    let upstream = FakeServer::start(Upstream).unwrap();
    let options = BrokerOptions {
        upstream: upstream.url().join("/api/v2").unwrap(),
        token: Secret::new(TOKEN),
        place: TokenPlace::Query("apiKey"),
        rules: BrokerRules::backlog("PROJ", 7),
        limits: BrokerLimits::default(),
        dialect: Arc::new(PlainDialect),
        connection: ConnectionOptions::default(),
        door: Door::default(),
        seen_as: None,
        planned: None,
    };
    let world = World {
        broker: Broker::start(options).await.unwrap(),
        upstream,
    };
    let token = world.broker.placeholder().to_owned();
    let ask = async |method: &str, path: &str, body: &str| {
        let host = world.broker.shared.seen_as;
        let kind = "content-type: application/x-www-form-urlencoded";
        let length = body.len();
        let text = format!(
            "{method} /api/v2{path}apiKey={token} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        world.raw(&text).await.0
    };
    assert_eq!(
        ask(
            "POST",
            "/issues?",
            "projectId=7&summary=a&issueTypeId=1&priorityId=3"
        )
        .await,
        201
    );
    assert_eq!(
        world.upstream.log().all()[0].parameter("apiKey"),
        Some(TOKEN)
    );
    for body in [
        "projectId=8&summary=a",
        "summary=a",
        "projectId=7&projectId=8&summary=a",
    ] {
        assert_eq!(ask("POST", "/issues?", body).await, 422, "{body}");
    }
    assert_eq!(ask("GET", "/issues?projectId[]=7&", "").await, 201);
    assert_eq!(
        ask("GET", "/issues?projectId[]=7&projectId[]=8&", "").await,
        403
    );
    assert_eq!(ask("GET", "/issues?", "").await, 403);
    assert_eq!(ask("GET", "/issues/PROJ-3?", "").await, 201);
    for path in [
        "/issues/OTHER-3?",
        "/issues/3?",
        "/projects/OTHER?",
        "/space?",
    ] {
        assert_eq!(ask("GET", path, "").await, 403, "{path}");
    }
}

#[tokio::test]
async fn nothing_of_it_shows_the_token() {
    let world = World::new().await;
    world.get(&format!("/issues/{TOKEN}")).await;
    let shown = format!(
        "{:?} {:?} {:?}",
        world.broker,
        world.broker.shared.options,
        world.broker.calls()
    );
    assert!(!shown.contains("canary"), "{shown}");
    let json = serde_json::to_string(&world.broker.calls()).unwrap();
    assert!(
        !json.contains("canary") && !json.contains("placeholder"),
        "{json}"
    );
}

#[tokio::test]
async fn an_address_that_is_not_safe_is_refused() {
    for address in [
        "http://gitlab.example/api",
        "https://gitlab.example/api?x=1",
        "https://a:b@gitlab.example/api",
    ] {
        let upstream = FakeServer::start(Upstream).unwrap();
        let options = BrokerOptions {
            upstream: Url::parse(address).unwrap(),
            ..World::new().await.broker.shared.options.clone()
        };
        let refused = Broker::start(options).await;
        assert!(
            matches!(refused, Err(BrokerError::Address { .. })),
            "{address}"
        );
        drop(upstream);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_broker_with_an_address_of_its_own_is_at_no_other() {
    let world = World::with(|o| o.door = Door::OwnAddress).await;
    let seen_as = world.broker.shared.seen_as;
    assert!(seen_as.ip().is_loopback() && seen_as.ip() != std::net::Ipv4Addr::LOCALHOST);
    assert_eq!(world.get("/issues").await.0, 201);
    let usual = (std::net::Ipv4Addr::LOCALHOST, seen_as.port());
    assert!(TcpStream::connect(usual).await.is_err());
}

#[tokio::test]
async fn behind_a_socket_it_answers_to_the_port_it_is_seen_as() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker");
    let seen_as = SocketAddr::from(([127, 0, 0, 1], 3128));
    let world = World::with(|o| {
        o.door = Door::Socket(path.clone());
        o.seen_as = Some(seen_as);
    })
    .await;
    assert_eq!(
        world.broker.url().as_str(),
        format!("http://127.0.0.1:3128{PROJECT}")
    );
    let token = world.broker.placeholder();
    for (host, expected) in [
        ("127.0.0.1:3128", "HTTP/1.1 201"),
        ("localhost:3128", "HTTP/1.1 201"),
        ("127.0.0.1:1", "HTTP/1.1 403"),
    ] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let text = format!(
            "GET {PROJECT}/issues HTTP/1.1\r\nhost: {host}\r\nprivate-token: {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{host}: {answer}");
    }
    let nameless = BrokerOptions {
        door: Door::Socket(folder.path().join("other")),
        seen_as: None,
        ..world.broker.shared.options.clone()
    };
    assert!(matches!(
        Broker::start(nameless).await,
        Err(BrokerError::Address { .. })
    ));
}
