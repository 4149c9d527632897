use std::io::Write as _;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use http_body_util::BodyExt as _;
use pipeline_core::failure::FailureCategory;
use pipeline_core::failure::RuleAnalyzer;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::*;

const LOG: &str = "$ make\nsrc/a.c:3:5: error: expected ';'\nmake: *** [all] Error 1\n";

fn small() -> Limits {
    Limits::default()
        .with_body(64 << 10)
        .with_memory(1 << 20)
        .with_receive_timeout(Duration::from_secs(5))
}

fn router() -> Router {
    Service::new(RuleAnalyzer::builtin(), small()).into_router()
}

fn post(kind: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/api/analysis")
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap()
}

async fn ask(request: Request<Body>) -> (StatusCode, Value) {
    read(router().oneshot(request).await.unwrap()).await
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let value: Value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    if !status.is_success() {
        assert_eq!(kind.unwrap(), "application/problem+json");
        assert_eq!(value["status"], status.as_u16());
        assert!(
            value["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
    }
    (status, value)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_log_is_explained_in_every_form() {
    let json = serde_json::json!({"log": LOG, "job": "build", "exit_code": 2}).to_string();
    let lines = serde_json::json!({"log": LOG.lines().collect::<Vec<_>>()}).to_string();
    let ndjson: String = LOG
        .lines()
        .map(|line| format!("{}\n", serde_json::json!({ "log": line })))
        .collect();
    for (kind, body) in [
        ("application/json", json),
        ("application/json; charset=utf-8", lines),
        ("text/plain", LOG.to_owned()),
        ("application/x-ndjson", ndjson),
    ] {
        let (status, answer) = ask(post(kind, body)).await;
        assert_eq!(status, StatusCode::OK, "{kind}: {answer}");
        assert_eq!(answer["category"], "compile", "{kind}");
        assert_eq!(answer["evidence"][0]["anchor"], 2, "{kind}");
    }
}

#[tokio::test]
async fn facts_stand_in_the_query_where_the_body_is_the_log() {
    let mut request = post("text/plain", "nothing known\n");
    *request.uri_mut() =
        "/api/analysis?failure_reason=job_execution_timeout&exit_code=1&tool=make,npm"
            .parse()
            .unwrap();
    let (_, answer) = ask(request).await;
    assert_eq!(answer["category"], "timeout");
    let mut request = post("text/plain", "x");
    *request.uri_mut() = "/api/analysis?exit_code=many".parse().unwrap();
    assert_eq!(ask(request).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn gzip_is_unpacked_within_the_limit() {
    let packed = |bytes: &[u8]| {
        let mut request = post("text/plain", gzip(bytes));
        request
            .headers_mut()
            .insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        request
    };
    assert_eq!(ask(packed(LOG.as_bytes())).await.1["category"], "compile");
    let bomb = vec![b' '; 50 << 20];
    assert!(gzip(&bomb).len() < 1 << 20);
    let mut large = Limits::default().with_body(1 << 20).with_memory(4 << 20);
    large.workers = 1;
    let service = Service::new(RuleAnalyzer::builtin(), large).into_router();
    let (status, _) = read(service.oneshot(packed(&bomb)).await.unwrap()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut broken = post("text/plain", LOG);
    broken
        .headers_mut()
        .insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
    assert_eq!(ask(broken).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_reason() {
    let cases = [
        (
            post("application/json", "{\"log\": "),
            StatusCode::BAD_REQUEST,
        ),
        (
            post("application/json", "[]"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            post("application/json", "{\"job\": \"build\"}"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            post("application/json", "{\"log\": 3}"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            post("application/json", "{\"log\": {\"file\": \"/etc/passwd\"}}"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            post("application/json", b"{\"log\": \"\xff\"}".to_vec()),
            StatusCode::BAD_REQUEST,
        ),
        (
            post("application/xml", "<log/>"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            Request::post("/api/analysis")
                .body(Body::from("x"))
                .unwrap(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            post("text/plain", vec![b'x'; (64 << 10) + 1]),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            Request::get("/api/analysis").body(Body::empty()).unwrap(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            Request::get("/api/other").body(Body::empty()).unwrap(),
            StatusCode::NOT_FOUND,
        ),
    ];
    for (request, expected) in cases {
        let what = format!("{request:?}");
        let (status, answer) = ask(request).await;
        assert_eq!(status, expected, "{what}: {answer}");
    }
    let mut brotli = post("text/plain", LOG);
    brotli
        .headers_mut()
        .insert(header::CONTENT_ENCODING, "br".parse().unwrap());
    assert_eq!(ask(brotli).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_log_that_is_no_utf8_is_explained_all_the_same() {
    let mut log = b"caf\xe9 \xff\xfe\n".to_vec();
    log.extend_from_slice(LOG.as_bytes());
    assert_eq!(ask(post("text/plain", log)).await.1["category"], "compile");
}

#[tokio::test]
async fn an_unknown_field_is_no_error_and_an_empty_log_an_answer() {
    let (status, answer) = ask(post("application/json", "{\"log\": \"\", \"later\": 1}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["status"], "no_log");
}

#[tokio::test]
async fn the_token_guards_all_but_health_and_the_document() {
    let router = Service::new(RuleAnalyzer::builtin(), small())
        .with_token("a-token-of-some-length")
        .into_router();
    for (authorization, expected) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("Bearer wrong"), StatusCode::UNAUTHORIZED),
        (
            Some("Basic a-token-of-some-length"),
            StatusCode::UNAUTHORIZED,
        ),
        (Some("Bearer a-token-of-some-length"), StatusCode::OK),
        (Some("bearer a-token-of-some-length"), StatusCode::OK),
    ] {
        let mut request = post("text/plain", LOG);
        if let Some(value) = authorization {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{authorization:?}");
        if expected == StatusCode::UNAUTHORIZED {
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
    for (path, expected) in [
        ("/healthz", StatusCode::OK),
        ("/openapi.json", StatusCode::OK),
        ("/metrics", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(
            router.clone().oneshot(request).await.unwrap().status(),
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_document_names_every_category_and_every_status_the_routes_answer() {
    let (_, document) = ask(Request::get("/openapi.json").body(Body::empty()).unwrap()).await;
    let categories: Vec<_> = FailureCategory::ALL.iter().map(|c| c.as_str()).collect();
    assert_eq!(
        document["components"]["schemas"]["LogAnalysisResult"]["properties"]["category"]["enum"],
        serde_json::json!(categories)
    );
    // The example answer has no field the document does not name.
    let (_, answer) = ask(post("text/plain", LOG)).await;
    let named = &document["components"]["schemas"]["LogAnalysisResult"]["properties"];
    for field in answer.as_object().unwrap().keys() {
        assert!(named.get(field).is_some(), "{field} is not in the document");
    }
}

#[tokio::test]
async fn metrics_count_answers_and_give_memory_back() {
    let router = router();
    let answer = router
        .clone()
        .oneshot(post("text/plain", LOG))
        .await
        .unwrap();
    drop(read(answer).await);
    let refused = router
        .clone()
        .oneshot(post("text/html", LOG))
        .await
        .unwrap();
    drop(read(refused).await);
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let (_, text) = read(router.oneshot(request).await.unwrap()).await;
    let text = text.as_str().unwrap();
    for line in [
        "failure_analysis_responses_total{code=\"200\"} 1",
        "failure_analysis_responses_total{code=\"415\"} 1",
        "failure_analysis_answers_total{category=\"compile\"} 1",
        "failure_analysis_held_bytes 0",
        "failure_analysis_seconds_count 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} not in\n{text}"
        );
    }
}

/// A service on a loopback port, and the way to stop it.
async fn served(
    limits: Limits,
) -> (
    SocketAddr,
    tokio::sync::oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = Service::new(RuleAnalyzer::builtin(), limits);
    let task = tokio::spawn(service.run(listener, async {
        drop(stopped.await);
    }));
    (address, stop, task)
}

async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn raw(body: &str) -> Vec<u8> {
    format!(
        "POST /api/analysis HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn sixty_four_clients_at_once_each_get_their_own_answer() {
    let limits = small()
        .with_body(1 << 20)
        .with_memory(16 << 20)
        .with_connections(16);
    let (address, stop, task) = served(limits).await;
    let mut clients = JoinSet::new();
    for number in 0..64 {
        clients.spawn(async move {
            let mut log = "noise\n".repeat(100 + number * 100);
            log.push_str(&format!("src/file{number}.c:3:5: error: number {number}\n"));
            let answer = exchange(address, &raw(&log)).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["evidence"][0]["anchor"], 101 + number * 100);
            assert!(
                body["summary"]
                    .as_str()
                    .unwrap()
                    .contains(&format!("number {number}"))
            );
        });
    }
    let mut answered = 0;
    while let Some(client) = clients.join_next().await {
        client.unwrap();
        answered += 1;
    }
    assert_eq!(answered, 64);
    drop(stop);
    task.await.unwrap();
}

#[tokio::test]
async fn a_slow_body_is_answered_and_let_go() {
    let limits = small().with_receive_timeout(Duration::from_millis(50));
    let (address, stop, task) = served(limits).await;
    let answer = exchange(
        address,
        b"POST /api/analysis HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    drop(stop);
    task.await.unwrap();
}

#[tokio::test]
async fn headers_that_never_end_hold_no_connection() {
    let limits = small().with_receive_timeout(Duration::from_millis(50));
    let (address, stop, task) = served(limits).await;
    // The service closes; whether it says 408 before is up to the HTTP library.
    let answer = exchange(
        address,
        b"POST /api/analysis HTTP/1.1\r\nhost: x\r\nx-slow: ",
    )
    .await;
    assert!(!answer.starts_with("HTTP/1.1 200"));
    drop(stop);
    task.await.unwrap();
}

#[tokio::test]
async fn more_than_the_memory_allows_is_refused_and_the_memory_comes_back() {
    let limits = small().with_body(1 << 20).with_memory(256 << 10);
    let (address, stop, task) = served(limits).await;
    // Holds four of four units for as long as its connection lives.
    let mut holder = TcpStream::connect(address).await.unwrap();
    let head = "POST /api/analysis HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 262145\r\n\r\n";
    holder.write_all(head.as_bytes()).await.unwrap();
    holder.write_all(&vec![b'x'; 256 << 10]).await.unwrap();
    let metrics = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    while !exchange(address, metrics)
        .await
        .contains("held_bytes 262144")
    {
        tokio::task::yield_now().await;
    }
    let answer = exchange(address, &raw(LOG)).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("retry-after: "),
        "{answer}"
    );
    drop(holder);
    while !exchange(address, metrics).await.contains("held_bytes 0") {
        tokio::task::yield_now().await;
    }
    assert!(
        exchange(address, &raw(LOG))
            .await
            .starts_with("HTTP/1.1 200")
    );
    drop(stop);
    task.await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_end() {
    let (address, stop, task) = served(small()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = raw(LOG);
    let (first, second) = request.split_at(request.len() - 5);
    client.write_all(first).await.unwrap();
    let metrics = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    while !exchange(address, metrics)
        .await
        .contains("held_bytes 65536")
    {
        tokio::task::yield_now().await;
    }
    drop(stop);
    client.write_all(second).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    task.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
