//! The server in front of a fake.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Limited;
use http_body_util::combinators::BoxBody;
use hyper::Request;
use hyper::Response;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pipeline_core::clock::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use url::Url;
use url::form_urlencoded;

use super::fault::Fault;
use super::fault::Faults;
use super::fault::TooMany;
use super::form::FakeAnswer;
use super::form::FakeRequest;
use super::log::RequestLog;

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// Most bytes of a request.
const MOST_BYTES: usize = 32 << 20;

/// What stands behind a [`FakeServer`].
pub trait FakeService: fmt::Debug + Send + Sync + 'static {
    /// Returns the service's time, which every answer carries as `Date`.
    fn now(&self) -> Timestamp;

    /// Does what it is asked, and answers.
    fn answer(&self, request: &FakeRequest) -> FakeAnswer;

    /// Returns the refusal of too many requests in one of its forms.
    fn too_many(&self, form: TooMany) -> FakeAnswer;
}

/// A fake on a port of its own of the loopback address, until it is dropped.
#[derive(Debug)]
pub struct FakeServer<S: FakeService> {
    shared: Arc<Shared<S>>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<S> {
    service: Arc<S>,
    faults: Faults,
    log: RequestLog,
}

impl<S: FakeService> FakeServer<S> {
    /// Starts a server on a thread of its own.
    ///
    /// # Errors
    /// If no port or thread is to be had.
    pub fn start(service: S) -> io::Result<Self> {
        Self::start_shared(Arc::new(service))
    }

    /// Starts a server for a service that others hold too.
    ///
    /// # Errors
    /// Like [`start`](Self::start).
    pub fn start_shared(service: Arc<S>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service,
            faults: Faults::default(),
            log: RequestLog::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("fake server".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let Ok(listener) = TcpListener::from_std(listener) else {
                        return;
                    };
                    tokio::select! {
                        () = serve(listener, serving) => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(Self {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns its address, `http://127.0.0.1:PORT/`.
    ///
    /// # Panics
    /// Never: such an address is one.
    #[must_use]
    pub fn url(&self) -> Url {
        let text = format!("http://{}/", self.address);
        Url::parse(&text).expect("an address and a port make a URL")
    }

    /// Returns the service, to look at and to change as a person would.
    #[must_use]
    pub fn service(&self) -> &Arc<S> {
        &self.shared.service
    }

    /// Returns what will go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Returns what it was asked.
    #[must_use]
    pub fn log(&self) -> &RequestLog {
        &self.shared.log
    }
}

impl<S: FakeService> Drop for FakeServer<S> {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error only says that it has ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve<S: FakeService>(listener: TcpListener, shared: Arc<Shared<S>>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others have to end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { respond(&shared, request).await }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::trace!(%error, "a connection of the fake ended");
            }
            drop(place);
        });
    }
}

/// The connection is to break without an answer.
#[derive(Debug, thiserror::Error)]
#[error("broken on purpose")]
struct Broken;

type Body = BoxBody<Bytes, Broken>;

async fn respond<S: FakeService>(
    shared: &Shared<S>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let request = read(request).await.ok_or(Broken)?;
    shared.log.push(request.clone());
    let fault = shared.faults.take(&request);
    let service = &shared.service;
    let act = |landed: bool| {
        if landed {
            service.answer(&request);
        }
    };
    let mut cut = false;
    let answer = match fault {
        None => service.answer(&request),
        Some(Fault::Lost { landed }) => {
            act(landed);
            return Err(Broken);
        }
        Some(Fault::Stalled { landed }) => {
            act(landed);
            std::future::pending().await
        }
        Some(Fault::ServerError { landed }) => {
            act(landed);
            let body = serde_json::json!({ "message": "500 Internal Server Error" });
            FakeAnswer::json(500, &body)
        }
        Some(Fault::BadGateway { landed }) => {
            act(landed);
            FakeAnswer::html(502)
        }
        Some(Fault::Truncated) => {
            cut = true;
            service.answer(&request)
        }
        Some(Fault::NotJson) => FakeAnswer::html(service.answer(&request).status),
        Some(Fault::TooMany(form)) => service.too_many(form),
        Some(Fault::Unauthenticated) => {
            let body = serde_json::json!({ "message": "401 Unauthorized" });
            FakeAnswer::json(401, &body)
        }
        Some(Fault::NotFound) => {
            FakeAnswer::json(404, &serde_json::json!({ "message": "404 Not Found" }))
        }
    };
    response(answer, service.now(), cut)
}

async fn read(request: Request<Incoming>) -> Option<FakeRequest> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.ok()?;
    let path = head.uri.path().to_owned();
    let decoded = |segment: &str| {
        let query = format!("s={}", segment.replace('+', "%2B").replace('&', "%26"));
        let found = form_urlencoded::parse(query.as_bytes()).next();
        found.map_or_else(String::new, |(_, text)| text.into_owned())
    };
    let query = head.uri.query().unwrap_or_default();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Some(FakeRequest {
        method: head.method.as_str().to_owned(),
        segments: path
            .split('/')
            .filter(|s| !s.is_empty())
            .map(decoded)
            .collect(),
        path,
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: head.headers.iter().filter_map(header).collect(),
        body: body.to_bytes().to_vec(),
    })
}

fn response(answer: FakeAnswer, now: Timestamp, cut: bool) -> Result<Response<Body>, Broken> {
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    let mut builder = Response::builder()
        .status(answer.status)
        .header("date", httpdate::fmt_http_date(date));
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    let whole = Bytes::from(answer.body);
    let body: Body = if cut {
        // The promised length is the whole one.
        builder = builder.header("content-length", whole.len().max(2));
        let half = whole.slice(..whole.len() / 2);
        Half(Some(half)).boxed()
    } else {
        http_body_util::Full::new(whole)
            .map_err(|never: Infallible| match never {})
            .boxed()
    };
    builder.body(body).map_err(|_| Broken)
}

/// The first half of an answer, after which the connection breaks.
struct Half(Option<Bytes>);

impl hyper::body::Body for Half {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(bytes) => Ok(Frame::data(bytes)),
            None => Err(Broken),
        }))
    }
}
