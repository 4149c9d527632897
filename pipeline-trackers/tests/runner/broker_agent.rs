//! A hostile agent behind the broker: it looks for the token everywhere its process can look.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::process::ProcessSpec;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::PlainDialect;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::broker::Broker;
use pipeline_trackers::broker::BrokerLimits;
use pipeline_trackers::broker::BrokerOptions;
use pipeline_trackers::broker::BrokerRules;
use pipeline_trackers::broker::Door;
use pipeline_trackers::broker::TokenPlace;
use pipeline_trackers::fake::FakeAnswer;
use pipeline_trackers::fake::FakeRequest;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::FakeService;
use pipeline_trackers::fake::TooMany;

/// How the agent is told what to look for without having it: each byte of the token, changed.
const MASK: u8 = 0x5a;

#[derive(Debug)]
struct Upstream;

impl FakeService for Upstream {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
    fn answer(&self, _: &FakeRequest) -> FakeAnswer {
        FakeAnswer::json(201, &serde_json::json!({"iid": 1}))
    }
    fn too_many(&self, _: TooMany) -> FakeAnswer {
        FakeAnswer::text(429, "Retry later")
    }
}

/// The agent: shell and, for its memory, whatever can read bytes. It prints where it finds the needle.
const AGENT: &str = r#"
import os, sys, urllib.request, urllib.error
mask = 0x5a
needle = bytes.fromhex(os.environ.pop("NEEDLE"))
def found(data, masked=needle):
    # The needle itself is never made: it would be found in this very memory.
    n = len(masked)
    i = data.find(bytes([masked[0] ^ mask, masked[1] ^ mask]))
    while i >= 0:
        if len(data) - i >= n and all(data[i + k] ^ mask == masked[k] for k in range(n)):
            return True
        i = data.find(bytes([masked[0] ^ mask, masked[1] ^ mask]), i + 1)
    return False
hits = []
def look(name, data):
    if found(data):
        hits.append(name)
base, token = os.environ["GITLAB_PROJECT_URL"], os.environ["GITLAB_API_TOKEN"]
answers = b""
def call(method, url, body=None):
    global answers
    request = urllib.request.Request(url, data=body, method=method, headers={"PRIVATE-TOKEN": token, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as reply:
            answers += str(reply.headers).encode() + reply.read()
            return reply.status
    except urllib.error.HTTPError as error:
        answers += str(error.headers).encode() + error.read()
        return error.code
print("post", call("POST", base + "/issues", b'{"title":"a"}'))
print("delete", call("DELETE", base + "/issues/1"))
print("user", call("GET", base.split("/projects/")[0] + "/user"))
look("answers", answers)
for name in ("environ", "cmdline"):
    try:
        look(name, open("/proc/self/" + name, "rb").read())
    except OSError:
        pass
look("variables", repr(dict(os.environ)).encode())
look("arguments", repr(sys.argv).encode())
for folder, _, files in os.walk("."):
    for name in files:
        look("file", open(os.path.join(folder, name), "rb").read())
read = 0
try:
    memory = open("/proc/self/mem", "rb", 0)
    for line in open("/proc/self/maps"):
        span, rights = line.split()[:2]
        if "r" not in rights or "[v" in line:
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        try:
            memory.seek(start)
            data = memory.read(min(end - start, 64 << 20))
        except (OSError, ValueError, OverflowError):
            continue
        read += len(data)
        if found(data):
            hits.append("memory")
except OSError:
    pass
print("read", read > 0 or not os.path.exists("/proc/self/mem"))
print("control", found(bytes(b ^ mask for b in needle)))
print("hits", hits)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_agent_finds_the_token_nowhere_in_its_process() {
    let Some(python) = [
        "/usr/bin/python3",
        "/usr/local/bin/python3",
        "/opt/homebrew/bin/python3",
    ]
    .into_iter()
    .find(|p| std::path::Path::new(p).exists()) else {
        eprintln!("SKIPPED: the hostile agent needs python3");
        return;
    };
    // Random, so that no compiled-in constant of this test can be what is found.
    let token = format!("glpat-{}", pipeline_core::random::nonce());
    let upstream = FakeServer::start(Upstream).unwrap();
    let broker = Broker::start(BrokerOptions {
        upstream: upstream.url().join("/api/v4/projects/7").unwrap(),
        token: Secret::new(&token),
        place: TokenPlace::Header("PRIVATE-TOKEN"),
        rules: BrokerRules::gitlab(),
        limits: BrokerLimits::default(),
        dialect: Arc::new(PlainDialect),
        connection: ConnectionOptions::default(),
        door: Door::default(),
        seen_as: None,
        planned: None,
    })
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.md"), "- [ ] a\n").unwrap();
    let masked: String = token.bytes().map(|b| format!("{:02x}", b ^ MASK)).collect();
    let report = ProcessSpec::new(python, folder.path())
        .args(["-c", AGENT])
        .env("GITLAB_PROJECT_URL", broker.url().as_str())
        .env("GITLAB_API_TOKEN", broker.placeholder())
        .env("NEEDLE", masked)
        .deadline(Duration::from_secs(300))
        .run()
        .await
        .unwrap();
    let (out, err) = (report.stdout().text(), report.stderr().text());
    let said: Vec<&str> = out.lines().collect();
    assert_eq!(
        said,
        [
            "post 201",
            "delete 403",
            "user 400",
            "read True",
            "control True",
            "hits []"
        ],
        "{err}"
    );
    assert!(!out.contains(&token) && !err.contains(&token));
    let calls = broker.stop().await;
    assert_eq!(calls.len(), 3);
    assert_eq!(calls.iter().filter(|c| c.refused.is_some()).count(), 2);
    let asked = upstream.log().all();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].header("private-token"),
        Some(token.as_str()),
        "the tracker got the token"
    );
}
