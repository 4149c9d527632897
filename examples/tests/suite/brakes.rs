//! Brakes through the binary: every command is a process of its own, and what one has met holds for the next.

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::world::World;

const LIMITED: &str = r#"echo '{"v":1,"outcome":"usage_limit"}'; exit 0"#;
const WORKS: &str = r#"echo hi > greeting.txt; echo '{"v":1,"outcome":"completed","usage":{"input_tokens":1000,"output_tokens":20,"cost_micros":30000}}'"#;

#[tokio::test]
async fn a_usage_limit_pauses_the_agent_for_every_process_until_a_person_takes_it_back() {
    let world = World::ready(LIMITED).await;
    let key = world.started("Greet by name").await;
    world
        .run(&["dispatch"])
        .await
        .ended(1)
        .says("usage limit reached");
    world.agent("", "", WORKS);
    world
        .run(&["dispatch"])
        .await
        .says("agent agent is paused until");
    let other = world.filed("Another").await;
    world
        .run(&["triage"])
        .await
        .says("agent agent is paused until");
    let status = world.run(&["--json", "status"]).await.ended(0).json();
    let agent = &status["agents"][0];
    assert_eq!(agent["agent"], "agent", "{status}");
    assert_eq!(agent["paused"]["reason"], "usage-limit", "{status}");
    world
        .run(&["status"])
        .await
        .ended(0)
        .says("resume --agent agent");
    world.run(&["doctor"]).await.says("paused until");
    world
        .run(&["resume", "--agent", "nobody"])
        .await
        .ended(2)
        .says("there is no agent `nobody`");
    world
        .run(&["resume", "--agent", "agent"])
        .await
        .ended(0)
        .says("agent agent goes on");
    world
        .run(&["dispatch", &key])
        .await
        .ended(0)
        .says("submitted");
    world.run(&["triage"]).await.ended(0);
    assert!(!world.thread(&other).await.is_empty());
    let thread = world.thread(&key).await;
    assert!(
        thread.contains("1,000 tokens in and 20 out, $0.03"),
        "{thread}"
    );
    let status = world.run(&["--json", "status"]).await.ended(0).json();
    let spent = status["issues"]
        .as_array()
        .expect("issues")
        .iter()
        .find(|i| i["issue"] == key.as_str());
    let spent = &spent.expect("the issue")["spent"];
    // Triage, check, the run that met the limit, the one that did the work.
    assert_eq!(
        (&spent["runs"], &spent["cost_micros"]),
        (&4.into(), &30_000.into()),
        "{status}"
    );
}

#[tokio::test]
async fn a_budget_that_is_used_up_starts_nothing_and_says_what_to_raise() {
    let world = World::ready(WORKS).await;
    world.configure("[limits.issue]\n#runs = 60", "[limits.issue]\nruns = 2");
    let key = world.started("Greet by name").await;
    world
        .run(&["dispatch"])
        .await
        .says("used up the runs of [limits.issue] (2)");
    assert!(!world.thread(&key).await.contains("work-start memo"));
    world.configure("[limits.issue]\nruns = 2", "[limits.issue]\nruns = 3");
    world.run(&["dispatch"]).await.ended(0).says("submitted");
}

#[tokio::test]
async fn a_bare_model_triages_while_the_first_agent_is_paused_and_nothing_else() {
    let mut world = World::ready(WORKS).await;
    let limited = r#"echo '{"v":1,"outcome":"rate_limited"}'; exit 0"#;
    world.agent(limited, "", WORKS);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer =
                r#"{\"comment\":\"A bare model read it.\",\"confidence\":0.7,\"risk\":\"low\"}"#;
            let body = format!(
                r#"{{"status":"completed","usage":{{"input_tokens":1000000,"output_tokens":0}},"output":[{{"type":"message","content":[{{"type":"output_text","text":"{answer}"}}]}}]}}"#
            );
            let mut asked = Vec::new();
            let mut buffer = [0; 65536];
            // A prompt is one JSON object: it has come when the braces close.
            while !asked.ends_with(b"}") {
                let n = stream.read(&mut buffer).await.unwrap_or(0);
                if n == 0 {
                    break;
                }
                asked.extend_from_slice(&buffer[..n]);
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    world.configure(
        "[roles]\n",
        &format!(
            "[agents.model]\nkind = \"api\"\nmodel = \"small\"\n[agents.model.api]\nurl = \"http://127.0.0.1:{port}/v1\"\nkey = {{ env = \"MODEL_KEY\" }}\ninput_usd = 0.2\noutput_usd = 1.0\n[roles]\ntriage = [\"agent\", \"model\"]\ncheck = \"agent\"\nimplement = \"agent\"\n"
        ),
    );
    world.configure(
        "#fields = [{",
        "fields = [{ name = \"risk\", kind = \"choice\", choices = [\"low\", \"high\"], description = \"How bad it can get.\", of = [\"triage\"] }]\n#fields = [{",
    );
    world
        .run(&["doctor"])
        .await
        .ended(1)
        .says("variable MODEL_KEY is not set");
    world.set("MODEL_KEY", "canary-model-key");
    world.run(&["doctor"]).await.says("agent, then model");
    let key = world.filed("Greet by name").await;
    world.run(&["triage"]).await.ended(0).says("triaged");
    let thread = world.thread(&key).await;
    assert!(thread.contains("A bare model read it."), "{thread}");
    assert!(thread.contains("- risk: low"), "{thread}");
    let status = world.run(&["--json", "status"]).await.ended(0);
    assert!(!status.said().contains("canary"), "{}", status.said());
    assert_eq!(
        status.json()["day"]["agents"]["model"]["cost_micros"],
        200_000,
        "{}",
        status.out
    );

    world.configure("check = \"agent\"", "check = [\"agent\", \"model\"]");
    world
        .run(&["check"])
        .await
        .ended(2)
        .says("agent model is a bare model without tools");
}
