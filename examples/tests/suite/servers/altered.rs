//! A memo of ours that somebody edited or deleted is noticed before the next claim and before the landing.

use super::super::world::World;
use super::Backlog;
use super::GitLab;
use super::Service;
use super::set_up;

/// The memo of a claim, and what in it says which files it holds.
const CLAIM: &str = "Note: AI work-start memo.";
/// The memo that hands the work over.
const DONE: &str = "Note: AI work-done memo.";

/// An issue whose work waits as a candidate, and another one that would touch the same file.
struct Scene {
    world: World,
    worked_on: String,
    other: String,
}

impl Scene {
    async fn new(service: &dyn Service) -> Self {
        let mut world = World::new().await;
        world.agent("", "", "echo 'hello, Aiko' > greeting.txt");
        set_up(&mut world, service).await.ended(0);
        let worked_on = service.file("Greet the customer by name");
        let other = service.file("Greet more warmly");
        world.run(&["triage"]).await.ended(0);
        world.run(&["check"]).await.ended(0);
        service.start(&worked_on);
        world.run(&["dispatch"]).await.ended(0);
        Self {
            world,
            worked_on,
            other,
        }
    }

    /// Brings the work to a candidate with an OK: only the landing is missing.
    async fn approved(&self, service: &dyn Service) {
        self.world.run(&["integrate"]).await.ended(0);
        let candidate = self.world.waiting().await.expect("a candidate waits");
        service.comment(&self.worked_on, &format!("OK {candidate}"));
    }

    fn memo(&self, service: &dyn Service, marker: &str) -> String {
        let thread = service.thread(&self.worked_on);
        let found = thread.into_iter().rfind(|text| text.starts_with(marker));
        found.expect("the memo is there")
    }
}

/// Returns a memo with one of its lines changed.
fn forged(memo: &str, key: &str, to: &str) -> String {
    let line = memo
        .lines()
        .find(|line| {
            line.trim_start_matches("- ")
                .starts_with(&format!("{key}:"))
        })
        .expect("the line is there");
    let (name, _) = line.split_once(':').expect("a key");
    memo.replacen(line, &format!("{name}: {to}"), 1)
}

/// An edit of what is to land, or of what holds it, stops the landing and says where to look; put back, it lands.
async fn before_the_landing(service: &dyn Service, marker: &str, key: &str, to: &str) {
    let scene = Scene::new(service).await;
    scene.approved(service).await;
    let tip = scene.world.tip().await;
    let memo = scene.memo(service, marker);
    service.alter(&scene.worked_on, &memo, Some(&forged(&memo, key, to)));
    let said = scene.world.run(&["integrate"]).await.said();
    assert_eq!(scene.world.tip().await, tip, "{said}");
    assert!(
        said.contains("was edited") || said.contains("changed"),
        "{said}"
    );
    service.alter(&scene.worked_on, &forged(&memo, key, to), Some(&memo));
    let said = scene.world.run(&["integrate"]).await.said();
    assert_ne!(scene.world.tip().await, tip, "{said}");
}

/// Without its claim, or the memo that handed it over, nothing lands, and the thread says why.
async fn deleted_before_the_landing(service: &dyn Service, marker: &str) {
    let scene = Scene::new(service).await;
    scene.approved(service).await;
    let tip = scene.world.tip().await;
    service.alter(&scene.worked_on, &scene.memo(service, marker), None);
    let said = scene.world.run(&["integrate"]).await.said();
    assert_eq!(scene.world.tip().await, tip, "{said}");
    assert!(said.contains("is gone"), "{said}");
    let thread = service.thread(&scene.worked_on);
    assert!(
        thread.iter().any(|memo| memo.contains("kind: release")),
        "{thread:?}"
    );
    // Nor later: it was given up for good.
    let said = scene.world.run(&["integrate"]).await.said();
    assert_eq!(scene.world.tip().await, tip, "{said}");
}

/// What a memo held when it was first read it holds, whatever was made of it since: nobody starts beside it.
async fn before_the_next_claim(service: &dyn Service, edited: bool) {
    let scene = Scene::new(service).await;
    let memo = scene.memo(service, CLAIM);
    let to = edited.then(|| forged(&memo, "lease-s", "1"));
    service.alter(&scene.worked_on, &memo, to.as_deref());
    service.start(&scene.other);
    let before = service.thread(&scene.other).len();
    let said = scene.world.run(&["dispatch"]).await.said();
    let thread = service.thread(&scene.other);
    assert!(
        thread
            .iter()
            .skip(before)
            .all(|memo| !memo.starts_with(CLAIM)),
        "{thread:?}\n{said}"
    );
    assert!(
        said.contains(&scene.worked_on),
        "it names who holds it: {said}"
    );
}

macro_rules! over {
    ($name:ident, $service:ty) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn an_edited_claim_does_not_land() {
                before_the_landing(&<$service>::new(), CLAIM, "lease-s", "1").await;
            }

            #[tokio::test]
            async fn an_edited_hand_over_does_not_land() {
                let patch = format!("sha256:{}", "0".repeat(64));
                before_the_landing(&<$service>::new(), DONE, "patch", &patch).await;
            }

            #[tokio::test]
            async fn a_deleted_claim_does_not_land() {
                deleted_before_the_landing(&<$service>::new(), CLAIM).await;
            }

            #[tokio::test]
            async fn a_deleted_hand_over_does_not_land() {
                deleted_before_the_landing(&<$service>::new(), DONE).await;
            }

            #[tokio::test]
            async fn an_edited_claim_is_seen_before_the_next_one() {
                before_the_next_claim(&<$service>::new(), true).await;
            }

            #[tokio::test]
            async fn a_deleted_claim_is_seen_before_the_next_one() {
                before_the_next_claim(&<$service>::new(), false).await;
            }
        }
    };
}

over!(over_gitlab, GitLab);
over!(over_backlog, Backlog);
