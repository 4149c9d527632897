//! The binary, killed at random moments: what comes of it is what comes of a run that nobody disturbed.
//!
//! A machine is prepared once and put back for every kill, at the same paths. `dispatch` and `integrate` are killed
//! with SIGKILL at moments that spread over the time an undisturbed run takes; some of the ticks that recover are
//! killed too. Then ordinary ticks finish, and everything a person or a later tick could see is compared.
//!
//! `LOOPS` sets the number of kills (each of a process that was alive), `SEED` the moments.

mod facts;
mod scene;

use std::collections::BTreeMap;
use std::time::Duration;

use self::facts::Facts;
use self::scene::Scene;

/// How many kills a plain `cargo test` makes of each kind: a tenth of the full measure, `LOOPS=100`.
const A_TENTH: u64 = 10;
/// From how many kills on they must have hit several steps.
const MANY: u64 = 20;
/// Every how many kills the tick that recovers is killed as well.
const RECOVERY_TOO: u64 = 3;
/// How often a moment that came too late is chosen anew.
const MOST_MISSES: u64 = 8;

#[tokio::test]
async fn killed_dispatch_ends_as_if_nobody_had_killed_it() {
    let scene = Scene::started().await;
    let (expected, lasts) = scene.undisturbed(&["dispatch"]).await;
    kills(&scene, "dispatch", loops(), lasts, &expected).await;
}

#[tokio::test]
async fn killed_integration_ends_as_if_nobody_had_killed_it() {
    let scene = Scene::submitted().await;
    let (expected, lasts) = scene.undisturbed(&["integrate"]).await;
    kills(&scene, "integrate", loops().div_ceil(2), lasts, &expected).await;
}

#[tokio::test]
async fn killed_landing_ends_as_if_nobody_had_killed_it() {
    let scene = Scene::approved().await;
    let (expected, lasts) = scene.undisturbed(&["integrate"]).await;
    kills(&scene, "integrate", loops().div_ceil(2), lasts, &expected).await;
}

/// How often all four are killed before they are left in peace.
const WAVES: usize = 3;
/// What must be as without any kill, whoever of the four came first.
const SAME: [&str; 8] = [
    "tree",
    "checkout",
    "untouched index",
    "commits",
    "rounds landed",
    "fsck",
    "processes",
    "status of",
];

#[tokio::test]
async fn two_orchestrators_and_two_integrators_on_one_repository_killed_at_random_land_all_once() {
    let scene = Scene::started().await;
    let (expected, lasts) = scene.undisturbed(&["dispatch"]).await;
    let mut random = Seeded(number("SEED").unwrap_or(1));
    let mut died = 0;
    for kill in 0..loops().div_ceil(5) {
        scene.put_back().await;
        for _ in 0..WAVES {
            let moments: [Duration; 4] = std::array::from_fn(|_| lasts.mul_f64(random.unit()));
            let [a, b, c, d] = moments;
            let ended = tokio::join!(
                scene.killed("dispatch", a),
                scene.killed("integrate", b),
                scene.killed("dispatch", c),
                scene.killed("integrate", d),
            );
            let ended = [ended.0, ended.1, ended.2, ended.3];
            died += ended.iter().flatten().count();
            scene.approve().await;
        }
        scene.finish().await;
        let found = scene.facts().await;
        let mut differs = expected.difference(&found);
        differs.retain(|what| SAME.iter().any(|same| what.starts_with(same)));
        assert!(
            differs.is_empty(),
            "schedule {kill} leaves a difference:\n{}\n{}",
            differs.join("\n"),
            scene.story().await
        );
        assert_eq!(
            scene.say("kind: landed").await,
            [1, 1],
            "{}",
            scene.story().await
        );
    }
    scene.report(&format!("{died} of the four died, over {lasts:?}"));
    assert!(died > 0, "nobody died over {lasts:?}");
}

/// Returns how many kills are made of each command; those of `integrate` fall on building and landing in halves.
fn loops() -> u64 {
    number("LOOPS").unwrap_or(A_TENTH)
}

/// Kills a command so often, and compares what comes of it.
async fn kills(scene: &Scene, command: &str, loops: u64, lasts: Duration, expected: &Facts) {
    let mut random = Seeded(number("SEED").unwrap_or(1));
    let mut hits: BTreeMap<String, u64> = BTreeMap::new();
    let mut misses = 0;
    // What was measured includes the start of a process and whatever else the machine did then.
    let mut lasts = lasts;
    for kill in 0..loops {
        let place = loop {
            scene.put_back().await;
            // One moment in each of `loops` equal parts of the run.
            let part = (kill as f64 + random.unit()) / loops as f64;
            if let Some(place) = scene.killed(command, lasts.mul_f64(part)).await {
                break place;
            }
            misses += 1;
            lasts = lasts.mul_f64(0.95);
            assert!(
                misses <= loops.max(4) * MOST_MISSES,
                "it is always over before it is killed: the measured {lasts:?} is wrong"
            );
        };
        *hits.entry(place.clone()).or_default() += 1;
        if kill % RECOVERY_TOO == 0 {
            let after = lasts.mul_f64(random.unit());
            if let Some(place) = scene.killed("dispatch", after).await {
                *hits.entry(format!("recovery: {place}")).or_default() += 1;
            }
        }
        scene.finish().await;
        let found = scene.facts().await;
        let differs = expected.difference(&found);
        assert!(
            differs.is_empty(),
            "kill {kill} of {command}, at {place}, leaves a difference:\n{}\n{}",
            differs.join("\n"),
            scene.story().await
        );
    }
    scene.report(&format!(
        "{loops} kills of {command} over {lasts:?}, {misses} more came too late; hit: {hits:?}"
    ));
    // One place would only say that one step survives; with few kills that may happen by chance.
    assert!(loops < MANY || hits.len() >= 3, "{hits:?}");
}

pub(super) fn number(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the length of a loop is chosen by whoever runs the tests"
    )]
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("LOOPS and SEED are numbers"))
}

/// A splitmix64 generator: the same moments for the same seed.
struct Seeded(u64);

impl Seeded {
    /// Returns a number from 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
