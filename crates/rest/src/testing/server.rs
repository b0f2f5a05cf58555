//! HTTP/1.1 on 127.0.0.1, in a thread of its own, with connections that can be cut.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::fault::Faults;
use super::wire::{Sent, cut};
use super::{Description, Exchange, Fault, Reply, Request, Trouble};

/// A vendor's state and what it answers. Keep the state behind a mutex of your own.
pub trait World: Send + Sync {
    /// Takes the effect of a request and answers it. Called on the server's one thread, so a call
    /// sees a consistent state; it must not block.
    fn answer(&self, request: &Request) -> Reply;
}

/// A running fake. It ends when this is dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Option<Running>,
}

struct Shared {
    world: Arc<dyn World>,
    description: Option<Arc<Description>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    faults: Faults,
    exchanges: Vec<Exchange>,
    violations: Vec<String>,
    connections: usize,
    /// Requests that arrived and whose effect has yet to be taken.
    pending: usize,
}

struct Running {
    stop: oneshot::Sender<()>,
    /// Who wants to know when all that arrived has had its effect.
    askers: mpsc::UnboundedSender<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

// === impl Server ===

impl Server {
    /// Starts one on a free port. With a description, it judges every exchange.
    ///
    /// # Panics
    /// If no port is to be had: then no test can run.
    pub fn start(world: Arc<dyn World>, description: Option<Arc<Description>>) -> Self {
        let shared = Arc::new(Shared {
            world,
            description,
            notes: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("a free port on the loopback interface");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let running = Running::start(listener, Arc::clone(&shared));
        Self {
            shared,
            address,
            running: Some(running),
        }
    }

    /// Where it listens: `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The description that judges, if there is one.
    pub fn description(&self) -> Option<&Arc<Description>> {
        self.shared.description.as_ref()
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        self.shared.notes().faults.add(fault);
    }

    /// Takes back the faults that have not struck.
    pub fn clear_faults(&self) {
        self.shared.notes().faults.clear();
    }

    /// From now on refuses connections, and cuts those that are open; or takes them again, at the
    /// same address.
    ///
    /// # Panics
    /// If the port was lost to another program meanwhile.
    pub fn refuse(&mut self, refuses: bool) {
        match (refuses, self.running.take()) {
            (true, Some(running)) => running.end(),
            (false, None) => {
                let listener = TcpListener::bind(self.address).expect("the port is still free");
                self.running = Some(Running::start(listener, Arc::clone(&self.shared)));
            }
            (_, running) => self.running = running,
        }
    }

    /// Every exchange so far, in the order of arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.notes().exchanges.clone()
    }

    /// How many requests of this method (`*` for any) came to a path with this beginning.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let notes = self.shared.notes();
        notes
            .exchanges
            .iter()
            .filter(|exchange| {
                let request = &exchange.request;
                (method == "*" || request.method == method) && request.path.starts_with(path)
            })
            .count()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.notes().connections
    }

    /// Waits until whatever was sent so far has had its effect, unless a fault delays it on purpose.
    /// What was sent by callers that are gone meanwhile has had it by then, or never has it.
    pub async fn quiet(&self) {
        let Some(running) = &self.running else { return };
        let (asker, answer) = oneshot::channel();
        if running.askers.send(asker).is_ok() {
            // An error: the server has ended, and nothing has an effect any more.
            let _: Result<(), _> = answer.await;
        }
    }

    /// Forgets the exchanges so far.
    pub fn clear_exchanges(&self) {
        self.shared.notes().exchanges.clear();
    }

    /// What the description does not allow, each once.
    pub fn violations(&self) -> Vec<String> {
        self.shared.notes().violations.clone()
    }

    /// Ends the test if the description was violated.
    ///
    /// # Panics
    /// With all violations.
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        assert!(
            violations.is_empty(),
            "{} violations of the official description:\n{}",
            violations.len(),
            violations.join("\n")
        );
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }
}

// === impl Running ===

impl Running {
    fn start(listener: TcpListener, shared: Arc<Shared>) -> Self {
        listener
            .set_nonblocking(true)
            .expect("a socket can be set not to block");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (stop, stopped) = oneshot::channel();
        let (askers, asked) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("fake".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // An error here ends the server; the tests then see refused connections.
                        _ = accept(listener, Arc::clone(&shared)) => {}
                        () = tell_when_quiet(asked, shared) => {}
                        _ = stopped => {}
                    }
                });
            })
            .expect("a thread can be started");
        Self {
            stop,
            askers,
            thread,
        }
    }

    fn end(self) {
        drop(self.stop);
        drop(self.askers);
        // A panic in the server's thread was printed there; a second one would abort.
        let _: Result<(), _> = self.thread.join();
    }
}

// === impl Shared ===

impl Shared {
    /// A test that panicked does not lock it for ever.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn violate(&self, found: Vec<String>) {
        let mut notes = self.notes();
        for violation in found {
            if !notes.violations.contains(&violation) {
                notes.violations.push(violation);
            }
        }
    }
}

/// Answers each asker when nothing is pending after several turns of the runtime, in each of which
/// it takes up whatever has arrived at its sockets.
async fn tell_when_quiet(
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    shared: Arc<Shared>,
) {
    while let Some(asker) = asked.recv().await {
        let mut turns = 0;
        while turns < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns = if shared.notes().pending == 0 {
                turns + 1
            } else {
                0
            };
        }
        // An error: nobody waits any more.
        let _: Result<(), ()> = asker.send(());
    }
}

/// Counts a request as pending until it is dropped.
struct Pending(Arc<Shared>);

impl Pending {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.notes().pending += 1;
        Self(Arc::clone(shared))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.notes().pending -= 1;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Infallible> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // Cut connections are reset and not closed with care.
        stream.set_zero_linger()?;
        shared.notes().connections += 1;
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| serve(Arc::clone(&shared), request));
            // The errors of a connection are what was ordered, or clients that went away.
            let _: Result<(), hyper::Error> = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Sent>, io::Error> {
    let pending = Pending::new(&shared);
    let request = read(request).await?;
    // A task of its own: what was asked happens even if the caller is gone meanwhile.
    tokio::spawn(respond(shared, request, pending))
        .await
        .map_err(io::Error::other)?
}

async fn respond(
    shared: Arc<Shared>,
    request: Request,
    pending: Pending,
) -> Result<hyper::Response<Sent>, io::Error> {
    if let Some(description) = &shared.description {
        shared.violate(description.judge_request(&request));
    }
    let trouble = shared.notes().faults.take(&request);
    let mut pending = Some(pending);
    if let Some(Trouble::DelayBefore(delay)) = trouble {
        pending = None;
        tokio::time::sleep(delay).await;
    }
    let reply = trouble
        .as_ref()
        .is_none_or(Trouble::has_effect)
        .then(|| shared.world.answer(&request));
    if let (Some(description), Some(reply)) = (&shared.description, &reply) {
        shared.violate(description.judge_reply(&request, reply));
    }
    shared.notes().exchanges.push(Exchange {
        request,
        reply: reply.clone(),
        trouble: trouble.clone(),
    });
    drop(pending);
    match (trouble, reply) {
        (Some(Trouble::Refuse(instead) | Trouble::Replace(instead)), _) => whole(instead),
        (Some(Trouble::ResetBefore | Trouble::ResetAfter), _) | (_, None) => Err(cut()),
        (Some(Trouble::Truncate), Some(reply)) => {
            let body = Sent::half(&reply.body);
            send(reply, body)
        }
        (Some(Trouble::Garbage), Some(mut reply)) => {
            reply.body = Bytes::from_static(b"\x01<<\xff{");
            whole(reply)
        }
        (Some(Trouble::Html), Some(_)) => {
            let text = "<html><body>log in to the network</body></html>";
            whole(Reply::text(200, "text/html", text))
        }
        (Some(Trouble::DelayAfter(delay)), Some(reply)) => {
            tokio::time::sleep(delay).await;
            whole(reply)
        }
        (_, Some(reply)) => whole(reply),
    }
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let query = head.uri.query().unwrap_or("");
    let query = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let headers = head
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    Ok(Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query,
        headers,
        body,
        at: Instant::now(),
    })
}

fn whole(reply: Reply) -> Result<hyper::Response<Sent>, io::Error> {
    let body = Sent::whole(reply.body.clone());
    send(reply, body)
}

fn send(reply: Reply, body: Sent) -> Result<hyper::Response<Sent>, io::Error> {
    let mut response = hyper::Response::builder().status(reply.status);
    if !reply.media_type.is_empty() {
        response = response.header("content-type", reply.media_type);
    }
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(body).map_err(io::Error::other)
}
