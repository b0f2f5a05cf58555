//! HTTP/1.1 on 127.0.0.1, in a thread of its own, with connections that can be cut.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use crate::answer::{Answer, Refusal};
use crate::dispatch::{dispatch, refused};
use crate::faults::How;
use crate::request::{Call, Request};
use crate::rest;
use crate::world::World;

/// What the server's thread and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    violations: Mutex<Vec<String>>,
}

impl Shared {
    /// Shares a world.
    pub(crate) fn new(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            violations: Mutex::new(Vec::new()),
        }
    }

    /// The world, for as long as the guard lives. A test that panicked does not lock it for ever.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the checker of requests and answers found.
    pub(crate) fn violations(&self) -> MutexGuard<'_, Vec<String>> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one; port 0 takes a free one.
    pub(crate) fn start(port: u16, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("aws-fake".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // An error here ends the server; the tests then see refused connections.
                        _ = accept(listener, shared) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server's thread was printed there; a second one would abort.
            let _: Result<(), _> = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Infallible> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&shared), request));
            // The errors of a connection are what was ordered, or clients that went away.
            let _: Result<(), hyper::Error> = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Sent>, io::Error> {
    let request = read(request).await?;
    // A task of its own: what was asked happens even if the caller dies while it waits.
    let outcome = tokio::spawn(async move {
        let half = shared.world().config.latency / 2;
        rest_for(half).await;
        let outcome = respond(&shared, request).await;
        rest_for(half).await;
        outcome
    });
    outcome.await.map_err(io::Error::other)?
}

async fn rest_for(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The answer, or what was ordered instead.
async fn respond(shared: &Shared, request: Request) -> Result<hyper::Response<Sent>, io::Error> {
    let how = shared.world().faults.take(&request.action, &request.region);
    match how {
        Some(How::CloseBefore) => {
            note(shared, &request, 0, 0);
            Err(cut())
        }
        Some(How::Html { status }) => {
            note(shared, &request, status, 0);
            send(status, "text/html", &[], Sent::whole(HTML.to_owned()))
        }
        Some(How::Refuse {
            status,
            code,
            message,
        }) => {
            let refusal = Refusal::new(status, &code, message);
            let answer = refused(&mut shared.world(), &request, &refusal);
            note(shared, &request, status, 0);
            whole(answer)
        }
        how => {
            let (request, answer) = effect(shared, request).await;
            let is_cut = how == Some(How::CloseAfter);
            let status = if is_cut { 0 } else { answer.status };
            note(shared, &request, status, answer.machines);
            match how {
                Some(How::CloseAfter) => Err(cut()),
                Some(How::HalfBody) => {
                    let body = Sent::half(&answer.body);
                    send(answer.status, answer.content_type, &answer.headers, body)
                }
                Some(How::Garbage) => {
                    send(200, answer.content_type, &[], Sent::whole("\u{1}<<".into()))
                }
                Some(How::Delay(delay)) => {
                    tokio::time::sleep(delay).await;
                    whole(answer)
                }
                _ => whole(answer),
            }
        }
    }
}

const HTML: &str = "<html><head><title>502 Bad Gateway</title></head><body>oops</body></html>";

/// Dispatches, waits as long as a long poll wants, and checks both sides against the models.
async fn effect(shared: &Shared, mut request: Request) -> (Request, Answer) {
    let has_checks = shared.world().config.checks;
    let mut found = Vec::new();
    if has_checks {
        found = rest::check_request(&request);
    }
    let answer = loop {
        let answer = dispatch(&mut shared.world(), &request);
        let Some(wait) = answer.wait else {
            break answer;
        };
        tokio::time::sleep(wait).await;
        request.waited = request.at.elapsed();
    };
    if has_checks {
        found.extend(rest::check_answer(&request, &answer));
    }
    let mut known = shared.violations();
    for violation in found {
        if !known.contains(&violation) {
            known.push(violation);
        }
    }
    drop(known);
    (request, answer)
}

fn note(shared: &Shared, request: &Request, status: u16, machines: u32) {
    shared.world().calls.push(Call {
        service: request.service.clone(),
        region: request.region.clone(),
        action: request.action.clone(),
        at: request.at,
        status,
        machines,
        filters: request
            .params
            .list("Filter")
            .into_iter()
            .filter_map(|filter| filter.owned("Name"))
            .collect(),
    });
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let body = String::from_utf8(body.to_vec()).map_err(io::Error::other)?;
    let header = |name: &str| {
        let value = head.headers.get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let target = head
        .uri
        .path_and_query()
        .map_or("/", hyper::http::uri::PathAndQuery::as_str);
    Ok(Request::parse(head.method.as_str(), target, &header, body))
}

fn whole(answer: Answer) -> Result<hyper::Response<Sent>, io::Error> {
    let body = Sent::whole(answer.body);
    send(answer.status, answer.content_type, &answer.headers, body)
}

fn send(
    status: u16,
    content_type: &str,
    headers: &[(&'static str, String)],
    body: Sent,
) -> Result<hyper::Response<Sent>, io::Error> {
    let mut response = hyper::Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("content-length", body.announced)
        .header("server", "AmazonEC2");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(body).map_err(io::Error::other)
}

fn cut() -> io::Error {
    io::Error::other("the connection is cut, as ordered")
}

/// A body that announces a length and may end before it.
#[derive(Debug)]
struct Sent {
    announced: u64,
    rest: Option<Bytes>,
    cut: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Sent {
    fn whole(text: String) -> Self {
        let bytes = Bytes::from(text);
        Self {
            announced: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            rest: Some(bytes),
            cut: None,
        }
    }

    fn half(text: &str) -> Self {
        // The pause lets the first half leave before the connection is closed.
        let pause = tokio::time::sleep(Duration::from_millis(20));
        Self {
            announced: u64::try_from(text.len()).unwrap_or(u64::MAX),
            rest: Some(Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2])),
            cut: Some(Box::pin(pause)),
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.cut {
            None => Poll::Ready(None),
            Some(pause) => pause.as_mut().poll(context).map(|()| Some(Err(cut()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.cut.is_none()
    }
}
