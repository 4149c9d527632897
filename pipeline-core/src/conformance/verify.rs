//! The conformance suite of [`Verifier`].
//!
//! A verifier's tests implement [`VerifierHarness`], which makes one that runs given checks, and call
//! [`verifier_conformance!`](crate::verifier_conformance). A check is a script for `sh`: whatever else a verifier can
//! run, it can run that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Violation;
use super::case::Succeeds as _;
use super::case::ensure;
use super::case::same;
use crate::BoxError;
use crate::process::ProcessIdentity;
use crate::verify::Verification;
use crate::verify::Verifier;
use crate::verify::VerifyError;
use crate::verify::VerifyRequest;
use crate::workspace::Target;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its configured name.
    pub name: String,
    /// What `sh` runs, in the tree.
    pub script: String,
}

/// Makes verifiers under test.
#[async_trait]
pub trait VerifierHarness: Send + Sync {
    /// Makes a new harness.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns a folder below which the cases may make trees.
    fn scratch(&self) -> &Path;

    /// Returns a verifier that runs these checks in this order, and ends each that takes longer than `deadline`.
    fn verifier(&self, checks: &[Check], deadline: Duration) -> Arc<dyn Verifier>;

    /// Returns a verifier whose only check, of this name, is a program that does not exist.
    fn without_program(&self, name: &str) -> Arc<dyn Verifier>;
}

/// Expands to one test per behaviour of a [`Verifier`], for a type that implements [`VerifierHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::verifier_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! verifier_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::verify::VerifierHarness,
            $crate::conformance::verify,
            [
                a_check_that_takes_too_long_is_ended_and_has_failed,
                a_missing_program_is_an_error_and_no_failure,
                checks_run_in_the_tree_in_their_order,
                dropping_the_run_ends_the_checks,
                nothing_of_the_environment_is_seen,
                the_digest_changes_with_the_checks_and_only_then,
                the_end_of_long_output_is_kept,
                the_first_failure_decides_and_is_told,
                without_checks_nothing_passed,
            ]
        );
    };
}

/// Generous: only a verifier that breaks a rule waits for it.
const LONG: Duration = Duration::from_secs(300);

fn check(name: &str, script: &str) -> Check {
    Check {
        name: name.to_owned(),
        script: script.to_owned(),
    }
}

/// A tree for one verification.
fn tree(harness: &dyn VerifierHarness, name: &str) -> Result<VerifyRequest, Violation> {
    let root = harness.scratch().join(name);
    std::fs::create_dir_all(&root).succeeds("making a tree")?;
    std::fs::write(root.join("in-the-tree"), "").succeeds("writing into the tree")?;
    Ok(VerifyRequest {
        root,
        target: Target::new("main").expect("a branch name"),
    })
}

async fn verified(
    harness: &dyn VerifierHarness,
    checks: &[Check],
    request: &VerifyRequest,
) -> Result<Verification, Violation> {
    let verifier = harness.verifier(checks, LONG);
    verifier.verify(request).await.succeeds("verifying")
}

fn failed(verification: Verification) -> Result<(String, Option<i32>, String), Violation> {
    match verification {
        Verification::Failed {
            command,
            exit_code,
            log,
        } => Ok((command, exit_code, log)),
        other => Err(Violation::new(format!(
            "a check failed, and the verification is {other:?}"
        ))),
    }
}

/// Every check runs in the tree, one after the other.
///
/// # Errors
/// Says how the rule is broken.
pub async fn checks_run_in_the_tree_in_their_order(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "order")?;
    let checks = [
        check("first", "test -f in-the-tree && echo 1 >> order"),
        check("second", "test -f order && echo 2 >> order"),
    ];
    let passed = verified(harness, &checks, &request).await?;
    same("the verification", &passed, &Verification::Passed)?;
    let order = std::fs::read_to_string(request.root.join("order"));
    same(
        "the order",
        &order.succeeds("reading the tree")?.as_str(),
        &"1\n2\n",
    )
}

/// A check that fails ends the verification: its name, code and words are told, and no later one runs.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_first_failure_decides_and_is_told(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "failure")?;
    let checks = [
        check("lint", "true"),
        check("unit tests", "echo said-it; echo complained >&2; exit 7"),
        check("later", "touch later"),
    ];
    let (command, code, log) = failed(verified(harness, &checks, &request).await?)?;
    same("the check", &command.as_str(), &"unit tests")?;
    same("its code", &code, &Some(7))?;
    ensure(
        log.contains("said-it") && log.contains("complained"),
        || format!("its words are {log:?}"),
    )?;
    ensure(!request.root.join("later").exists(), || {
        "a check ran after one had failed".to_owned()
    })
}

/// Where nothing is configured nothing has passed: people must be able to see that.
///
/// # Errors
/// Says how the rule is broken.
pub async fn without_checks_nothing_passed(harness: &dyn VerifierHarness) -> Result<(), Violation> {
    let request = tree(harness, "nothing")?;
    for (checks, any) in [(vec![], false), (vec![check("one", "true")], true)] {
        let verifier = harness.verifier(&checks, LONG);
        let said = verifier.has_checks(&request.target);
        same("whether there are checks", &said, &any)?;
    }
    let verification = verified(harness, &[], &request).await?;
    same(
        "the verification",
        &verification,
        &Verification::NothingToRun,
    )
}

/// What cannot be started is nobody's failure: no patch goes back for it, and the check is named.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_missing_program_is_an_error_and_no_failure(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "missing")?;
    let answer = harness.without_program("tests").verify(&request).await;
    match answer {
        Err(error @ VerifyError::CannotStart { .. }) => {
            ensure(error.to_string().contains("tests"), || {
                format!("`{error}` does not name the check")
            })
        }
        other => Err(Violation::new(format!("the answer is {other:?}"))),
    }
}

/// A check over its time is ended with everything it started, and counts as failed.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_check_that_takes_too_long_is_ended_and_has_failed(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "slow")?;
    let checks = [check("slow", "echo begun; while :; do sleep 1; done")];
    let verifier = harness.verifier(&checks, Duration::from_secs(1));
    let verification = verifier.verify(&request).await.succeeds("verifying")?;
    let (command, code, _) = failed(verification)?;
    same("the check", &command.as_str(), &"slow")?;
    same("its code", &code, &None)
}

/// However much a check says, the end of it is told and the rest does not fill the memory.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_end_of_long_output_is_kept(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "loud")?;
    let script = "i=0; while [ $i -lt 20000 ]; do echo 'a line of sixty-four characters, of which there are very many.'; \
                  i=$((i+1)); done; echo the-last-words; exit 1";
    let (_, _, log) = failed(verified(harness, &[check("loud", script)], &request).await?)?;
    ensure(log.contains("the-last-words"), || {
        "the end of its output is missing".to_owned()
    })?;
    ensure(log.len() <= 1 << 20, || {
        format!("{} bytes of output are handed on", log.len())
    })
}

/// Checks run without the variables of whoever runs the pipeline. The tests run under cargo, whose variables tell.
///
/// # Errors
/// Says how the rule is broken.
pub async fn nothing_of_the_environment_is_seen(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "environment")?;
    let checks = [check("env", "env; exit 1")];
    let (_, _, log) = failed(verified(harness, &checks, &request).await?)?;
    let leaked: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split('=').next())
        .filter(|name| name.starts_with("CARGO"))
        .collect();
    ensure(leaked.is_empty(), || format!("a check saw {leaked:?}"))
}

/// The digest stands for what runs: the same for the same checks, another for others, in another order too.
///
/// # Errors
/// Says how the rule is broken.
///
/// # Panics
/// Never: `main` is a branch name.
pub async fn the_digest_changes_with_the_checks_and_only_then(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let target = Target::new("main").succeeds("naming a branch")?;
    let digest = |checks: &[Check]| harness.verifier(checks, LONG).commands_digest(&target);
    let (one, two) = (check("a", "true"), check("b", "false"));
    let all = [
        digest(&[]),
        digest(std::slice::from_ref(&one)),
        digest(&[one.clone(), two.clone()]),
        digest(&[two.clone(), one.clone()]),
        digest(&[check("a", "true false")]),
    ];
    let mut distinct = all.to_vec();
    distinct.sort();
    distinct.dedup();
    same("the number of digests", &distinct.len(), &all.len())?;
    let again = digest(&[one, two]);
    same("the second digest", &Some(&again), &all.get(2))
}

/// Who gives up on a verification leaves nothing of it running.
///
/// # Errors
/// Says how the rule is broken.
pub async fn dropping_the_run_ends_the_checks(
    harness: &dyn VerifierHarness,
) -> Result<(), Violation> {
    let request = tree(harness, "dropped")?;
    let script = "echo $$ > pid.new; mv pid.new pid; while :; do sleep 1; done";
    let verifier = harness.verifier(&[check("endless", script)], LONG);
    let file = request.root.join("pid");
    let begun = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = verifier.verify(&request) => {
            return Err(Violation::new(format!("an endless check ended: {ended:?}")));
        }
        () = begun => {}
    }
    if verifier.confinement() != crate::agent::Confinement::Unconfined {
        // A sandbox numbers its processes itself; that it ends with its first one is the wrapper's own test.
        return Ok(());
    }
    let pid = std::fs::read_to_string(&file).succeeds("reading the process")?;
    let pid: u32 = pid.trim().parse().succeeds("reading its number")?;
    let process = ProcessIdentity::of_running(pid).succeeds("looking for the process")?;
    while let Some(process) = &process
        && process.is_alive().succeeds("looking at the process")?
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Confinement;
    use crate::verify::CommandVerifier;
    use crate::verify::VerifyCommand;

    struct Commands(tempfile::TempDir);

    impl Commands {
        fn of(words: &[&str], name: &str, deadline: Duration) -> VerifyCommand {
            VerifyCommand {
                name: name.to_owned(),
                command: words.iter().map(|word| (*word).to_owned()).collect(),
                deadline,
            }
        }
    }

    #[async_trait]
    impl VerifierHarness for Commands {
        async fn fresh() -> Result<Self, BoxError> {
            Ok(Self(tempfile::tempdir()?))
        }

        fn scratch(&self) -> &Path {
            self.0.path()
        }

        fn verifier(&self, checks: &[Check], deadline: Duration) -> Arc<dyn Verifier> {
            let command = |c: &Check| Self::of(&["/bin/sh", "-c", &c.script], &c.name, deadline);
            let commands = checks.iter().map(command).collect();
            let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
            Arc::new(CommandVerifier::new(commands).with_env(vec![path]))
        }

        fn without_program(&self, name: &str) -> Arc<dyn Verifier> {
            let command = Self::of(&["/no/such/program"], name, LONG);
            Arc::new(CommandVerifier::new(vec![command]))
        }
    }

    mod commands {
        crate::verifier_conformance!(super::Commands);
    }

    /// A verifier that always says the same.
    #[derive(Debug)]
    struct Always(Verification);

    #[async_trait]
    impl Verifier for Always {
        fn commands_digest(&self, _target: &Target) -> String {
            "always".to_owned()
        }

        fn has_checks(&self, _target: &Target) -> bool {
            true
        }

        fn confinement(&self) -> Confinement {
            Confinement::Unconfined
        }

        async fn verify(&self, _request: &VerifyRequest) -> Result<Verification, VerifyError> {
            Ok(self.0.clone())
        }
    }

    struct Parrot(tempfile::TempDir, Verification);

    #[async_trait]
    impl VerifierHarness for Parrot {
        async fn fresh() -> Result<Self, BoxError> {
            Ok(Self(tempfile::tempdir()?, Verification::Passed))
        }

        fn scratch(&self) -> &Path {
            self.0.path()
        }

        fn verifier(&self, _checks: &[Check], _deadline: Duration) -> Arc<dyn Verifier> {
            Arc::new(Always(self.1.clone()))
        }

        fn without_program(&self, _name: &str) -> Arc<dyn Verifier> {
            Arc::new(Always(self.1.clone()))
        }
    }

    #[tokio::test]
    async fn one_that_runs_nothing_keeps_no_rule() {
        let yes = Parrot::fresh().await.expect("made");
        let leaks = "CARGO_HOME=/x\n".repeat(1 << 17);
        let no = Parrot(
            tempfile::tempdir().expect("made"),
            Verification::Failed {
                command: "x".to_owned(),
                exit_code: Some(1),
                log: leaks,
            },
        );
        for parrot in [&yes, &no] {
            assert!(checks_run_in_the_tree_in_their_order(parrot).await.is_err());
            assert!(the_first_failure_decides_and_is_told(parrot).await.is_err());
            assert!(without_checks_nothing_passed(parrot).await.is_err());
            assert!(
                a_missing_program_is_an_error_and_no_failure(parrot)
                    .await
                    .is_err()
            );
            let slow = a_check_that_takes_too_long_is_ended_and_has_failed(parrot).await;
            assert!(slow.is_err());
            assert!(the_end_of_long_output_is_kept(parrot).await.is_err());
            assert!(nothing_of_the_environment_is_seen(parrot).await.is_err());
            let digest = the_digest_changes_with_the_checks_and_only_then(parrot).await;
            assert!(digest.is_err());
            assert!(dropping_the_run_ends_the_checks(parrot).await.is_err());
        }
    }
}
