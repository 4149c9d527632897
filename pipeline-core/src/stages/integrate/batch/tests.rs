use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// Brings a queue of patches (true = good) to its end; returns which went back, and the verifications it took.
///
/// `flaky` says of each verification whether it fails for no reason; such a failure is retried once.
fn drain(
    patches: &[bool],
    most: usize,
    mut flaky: impl FnMut() -> bool,
) -> (Vec<usize>, usize, usize) {
    let mut queue: VecDeque<usize> = (0..patches.len()).collect();
    let (mut record, mut back, mut landed, mut runs) =
        (Record::default(), Vec::new(), Vec::new(), 0);
    let mut base_known = false;
    let mut verified_whole = 0;
    while !queue.is_empty() {
        let batch: Vec<usize> = queue.iter().copied().take(record.batch(most)).collect();
        let mut search = Search::new(batch.len());
        let good = loop {
            match search.step() {
                Step::Verify(part) => {
                    let whole = batch[..part].iter().all(|p| patches[*p]);
                    runs += 1;
                    let mut passed = whole && !flaky();
                    if whole && !passed {
                        runs += 1;
                        passed = !flaky();
                    }
                    // The base is verified once: what it shows too is nobody's fault.
                    if !passed && !base_known {
                        runs += 1;
                        base_known = true;
                    }
                    if passed {
                        verified_whole = landed.len() + part;
                    }
                    search.saw(part, passed);
                }
                Step::Good => break batch.len(),
                Step::Fault(good) => break good,
            }
        };
        landed.extend(queue.drain(..good));
        let failed = usize::from(good < batch.len());
        if failed == 1 {
            back.extend(queue.pop_front());
        }
        record.add(good, failed);
    }
    assert_eq!(
        verified_whole,
        landed.len(),
        "what lands was verified as exactly that whole"
    );
    (back, landed.len(), runs)
}

fn verifications_of(patches: &[bool], most: usize) -> usize {
    drain(patches, most, || false).2
}

proptest! {
    #[test]
    fn exactly_the_bad_ones_go_back(patches in proptest::collection::vec(proptest::bool::weighted(0.8), 0..60), most in 1usize..40) {
        let (back, landed, _) = drain(&patches, most, || false);
        let bad: Vec<usize> = patches.iter().enumerate().filter(|(_, good)| !**good).map(|(at, _)| at).collect();
        prop_assert_eq!(&back, &bad);
        prop_assert_eq!(landed, patches.len() - bad.len());
    }

    #[test]
    fn a_bad_patch_costs_at_most_the_halvings_and_its_batch(patches in proptest::collection::vec(any::<bool>(), 1..40)) {
        let most = 32;
        let bad = patches.iter().filter(|good| !**good).count();
        // A batch for each bad one and those that pass, five halvings of at most 32, and the base.
        let bound = bad * (1 + 5) + patches.len() + 1;
        prop_assert!(verifications_of(&patches, most) <= bound);
    }

    #[test]
    fn one_at_a_time_verifies_each_once(patches in proptest::collection::vec(any::<bool>(), 0..40)) {
        let base = usize::from(patches.contains(&false));
        prop_assert_eq!(verifications_of(&patches, 1), patches.len() + base);
    }

    #[test]
    fn a_failure_that_a_retry_cures_sends_nobody_back(patches in 1usize..40, when in proptest::collection::btree_set(0usize..80, 0..20)) {
        // Never twice in a row: that would be no flaky failure by what the retry can tell.
        let mut at = 0;
        let mut before = false;
        let flaky = || {
            at += 1;
            before = !before && when.contains(&at);
            before
        };
        let (back, landed, _) = drain(&vec![true; patches], 32, flaky);
        prop_assert!(back.is_empty());
        prop_assert_eq!(landed, patches);
    }

    #[test]
    fn a_batch_is_never_larger_than_allowed_and_shrinks_with_failures(passed in 0usize..500, failed in 0usize..500, most in 1usize..100) {
        let (mut better, mut worse) = (Record::default(), Record::default());
        better.add(passed, failed);
        worse.add(passed, failed + 1);
        prop_assert!((1..=most).contains(&better.batch(most)));
        prop_assert!(worse.batch(most) <= better.batch(most));
    }
}

/// A splitmix64 generator: the same queues in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Verifications per landed patch, over many queues.
fn per_landed(percent_bad: u64, permille_flaky: u64, length: usize, most: usize) -> f64 {
    let mut random = Seeded(percent_bad * 1000 + permille_flaky);
    let (mut runs, mut landed) = (0, 0);
    for _ in 0..2_000 {
        let patches: Vec<bool> = (0..length)
            .map(|_| random.below(100) >= percent_bad)
            .collect();
        let (_, good, verified) = drain(&patches, most, || random.below(1000) < permille_flaky);
        runs += verified;
        landed += good;
    }
    count(runs) / count(landed)
}

#[test]
fn simulated_verifications_per_landed_patch() {
    let mut table = String::from(
        "| bad | one by one | batches of at most 8 | 16 | 32 |\n|---|---|---|---|---|\n",
    );
    for bad in [1, 5, 20] {
        let cells: Vec<String> = [1, 8, 16, 32]
            .map(|most| format!("{:.2}", per_landed(bad, 10, 40, most)))
            .to_vec();
        table.push_str(&format!("| {bad} % | {} |\n", cells.join(" | ")));
    }
    println!(
        "Verifications per landed patch; queues of 40, 1 % of the runs flaky, the base's run counted:\n{table}"
    );
    assert!(per_landed(5, 10, 40, 16) <= 0.45, "{table}");
    assert!(per_landed(1, 10, 40, 16) <= 0.2, "{table}");
    assert!(per_landed(20, 10, 40, 16) <= 1.1, "{table}");
}
