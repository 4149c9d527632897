//! Stateful fakes of the services, for tests: a small server on the loopback address, with faults that can be switched.
//!
//! A fake is a [`FakeService`] behind a [`FakeServer`]. The server counts and keeps what it was asked and applies
//! [`Fault`]s; the service holds the issues. Nothing here belongs into a program that people use.
//!
//! ```
//! use pipeline_trackers::fake::{FakeAnswer, FakeRequest, FakeServer, FakeService, Fault, TooMany};
//! use pipeline_core::clock::Timestamp;
//!
//! #[derive(Debug)]
//! struct Hello;
//!
//! impl FakeService for Hello {
//!     fn now(&self) -> Timestamp {
//!         Timestamp::EPOCH
//!     }
//!     fn answer(&self, request: &FakeRequest) -> FakeAnswer {
//!         FakeAnswer::json(200, &serde_json::json!({ "asked": request.path }))
//!     }
//!     fn too_many(&self, _form: TooMany) -> FakeAnswer {
//!         FakeAnswer::text(429, "Retry later")
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let server = FakeServer::start(Hello)?;
//! server.faults().next(1, Fault::ServerError { landed: false });
//! assert!(server.url().as_str().starts_with("http://127.0.0.1:"));
//! assert_eq!(server.log().len(), 0);
//! # Ok(())
//! # }
//! ```

pub mod backlog;
mod fault;
mod form;
mod gitlab;
mod log;
mod server;

pub use self::fault::Fault;
pub use self::fault::Faults;
pub use self::fault::TooMany;
pub use self::form::FakeAnswer;
pub use self::form::FakeFile;
pub use self::form::FakeRequest;
pub use self::gitlab::FakeGitLab;
pub use self::gitlab::GitLabSwitches;
pub use self::log::RequestLog;
pub use self::server::FakeServer;
pub use self::server::FakeService;
