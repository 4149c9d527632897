//! How a case is run and how it fails.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::BoxError;

/// How an implementation broke a rule; the rule is the name of the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Violation {}

impl Violation {
    /// Tells what happened instead of what the rule asks for.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Fails with a sentence unless `holds`.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation::new(otherwise()))
    }
}

/// Fails with both values unless they are equal.
pub(crate) fn same<T: PartialEq + fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Violation> {
    ensure(found == expected, || {
        format!("{what} is {found:?} instead of {expected:?}")
    })
}

/// Turns an error that the rule does not allow into a violation.
pub(crate) trait Succeeds<T> {
    /// Names what was being done.
    fn succeeds(self, doing: &str) -> Result<T, Violation>;
}

impl<T, E: Into<BoxError>> Succeeds<T> for Result<T, E> {
    fn succeeds(self, doing: &str) -> Result<T, Violation> {
        self.map_err(|error| Violation::new(format!("{doing} failed: {}", chain(&*error.into()))))
    }
}

/// Renders an error and everything below it in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

/// A case that never ends has failed too. Generous, since live services are slow.
const CEILING: Duration = Duration::from_secs(600);

/// Runs one case as a test, with a runtime of its own.
///
/// # Panics
/// If the case fails: that is how a test does.
#[doc(hidden)]
pub fn run<F>(rule: &str, case: F)
where
    F: Future<Output = Result<(), Violation>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test may start threads");
    let ended = runtime.block_on(async { tokio::time::timeout(CEILING, case).await });
    // Not waiting for what the case left behind: it has answered.
    runtime.shutdown_background();
    let violation = match ended {
        Ok(Ok(())) => return,
        Ok(Err(violation)) => violation,
        Err(_) => Violation::new(format!("no end after {} s", CEILING.as_secs())),
    };
    #[expect(clippy::panic, reason = "this is the body of a test")]
    {
        panic!("the rule `{rule}` is broken: {violation}");
    }
}

/// Runs one case on a fresh harness.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_case {
    ($harness:ty, $trait:path, $suite:path, $case:ident) => {{
        use $suite as suite;
        $crate::conformance::run(::core::stringify!($case), async {
            match <$harness as $trait>::fresh().await {
                ::core::result::Result::Ok(harness) => suite::$case(&harness).await,
                ::core::result::Result::Err(error) => {
                    ::core::result::Result::Err($crate::conformance::Violation::new(
                        ::std::format!("the harness could not start: {error}"),
                    ))
                }
            }
        });
    }};
}

/// Expands to one test per case.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($harness:ty, $trait:path, $suite:path, [$($case:ident),* $(,)?] $(,)?) => {
        $(
            #[test]
            fn $case() {
                $crate::__conformance_case!($harness, $trait, $suite, $case);
            }
        )*
    };
}

/// Expands to a function that runs every case in turn, for where there are no tests: doc examples.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_function {
    ($harness:ty, $trait:path, $suite:path, [$($case:ident),* $(,)?] $(,)?) => {
        fn run_every_case() {
            $($crate::__conformance_case!($harness, $trait, $suite, $case);)*
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the rule `water_is_wet` is broken: it is dry")]
    fn a_broken_rule_fails_its_test_by_name() {
        run("water_is_wet", async { Err(Violation::new("it is dry")) });
    }

    #[test]
    fn a_kept_rule_passes() {
        run("water_is_wet", async { ensure(true, String::new) });
    }
}
