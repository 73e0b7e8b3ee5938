//! A proxy in front of an HTTP server that fails on demand, one request after the other or all of them.
//!
//! Faults that hide an answer let the server do its work first: the caller can't know whether it was done.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What the proxy does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers that there were too many, and the server gets nothing: 400 with `ThrottlingException`.
    Throttle,
    /// Answers with 503, and the server gets nothing.
    ServerError,
    /// Holds the server's answer back for so long.
    Delay(Duration),
    /// Lets the server work, and ends the connection in place of its answer.
    CutBeforeResponse,
    /// Lets the server work, and ends the connection after half of the body.
    CutInBody,
    /// Flips a bit in every seventh byte of the server's answer, its first included.
    Corrupt,
    /// Closes the port, as if nobody were there. For some requests only, with [`FaultProxy::only`] or
    /// [`FaultProxy::fail_nth`], the port can't be closed: their connections end, and the server gets nothing.
    RefuseConnections,
    /// Neither answers nor ends the connection, and the server gets nothing.
    Hang,
}

/// See the module. It runs until it is dropped.
pub struct FaultProxy {
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    upstream: String,
    http: reqwest::Client,
    plan: Mutex<Plan>,
    gate: Mutex<Gate>,
}

#[derive(Default)]
struct Plan {
    standing: Option<Fault>,
    /// How many requests come before it, and what it gets.
    nth: Option<(usize, Fault)>,
    only: String,
    connections: usize,
    requests: usize,
    faults: Vec<Fault>,
}

/// The port: either somebody listens, or it is held so that nobody else can have it.
struct Gate {
    listener: Option<TcpListener>,
    held: Option<TcpSocket>,
    waiting: Option<Waker>,
}

impl FaultProxy {
    /// Stands before the server at this URL, and lets everything pass at first.
    pub async fn before(url: &str) -> Self {
        let (socket, address) = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let mut gate = Gate { listener: None, held: Some(socket), waiting: None };
        gate.open();
        let shared = Arc::new(Shared {
            address,
            upstream: url.trim_end_matches('/').to_owned(),
            http: http.expect("a client without TLS needs nothing"),
            plan: Mutex::default(),
            gate: Mutex::new(gate),
        });
        Self { running: tokio::spawn(accept(shared.clone())), shared }
    }

    /// Where to send what is meant for the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// What happens to every request from now on.
    pub fn set(&self, fault: Option<Fault>) {
        self.shared.plan().standing = fault;
        self.shared.open_or_shut();
    }

    /// Faults are for those requests only whose `X-Amz-Target` contains this; without that header, whose path.
    pub fn only(&self, part: &str) {
        part.clone_into(&mut self.shared.plan().only);
        self.shared.open_or_shut();
    }

    /// What happens to the nth request from now on, counted from 1, of those that [`FaultProxy::only`] means.
    pub fn fail_nth(&self, n: usize, fault: Fault) {
        let before = n.checked_sub(1).expect("requests are counted from 1");
        self.shared.plan().nth = Some((before, fault));
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.plan().connections
    }

    /// How many requests came, whatever became of them.
    pub fn requests(&self) -> usize {
        self.shared.plan().requests
    }

    /// What was done to requests, in order. Connections to a closed port leave nothing here.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.plan().faults.clone()
    }

    /// How many requests met that fault.
    pub fn count_of(&self, fault: Fault) -> usize {
        self.shared.plan().faults.iter().filter(|met| **met == fault).count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no test panics with this lock")
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().expect("no test panics with this lock")
    }

    fn open_or_shut(&self) {
        let shut = {
            let plan = self.plan();
            plan.standing == Some(Fault::RefuseConnections) && plan.only.is_empty()
        };
        if shut { self.gate().shut(self.address) } else { self.gate().open() }
    }

    async fn forward(&self, request: Request) -> Option<Response> {
        let url = format!("{}{}", self.upstream, request.path);
        let method = request.method.parse().ok()?;
        let sent = self.http.request(method, url).headers(request.headers).body(request.body).send().await;
        let answer = sent.ok()?;
        let mut head = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
        for (name, value) in answer.headers().iter().filter(|(name, _)| !is_framing(name)) {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        Some(Response { head, body: answer.bytes().await.ok()?.to_vec() })
    }
}

impl Plan {
    fn meet(&mut self, target: &str) -> Option<Fault> {
        self.requests += 1;
        if !target.contains(&self.only) {
            return None;
        }
        let its_turn = match &mut self.nth {
            Some((0, _)) => self.nth.take().map(|(_, fault)| fault),
            Some((before, _)) => {
                *before -= 1;
                None
            }
            None => None,
        };
        let fault = its_turn.or(self.standing);
        self.faults.extend(fault);
        fault
    }
}

impl Gate {
    fn open(&mut self) {
        if let Some(socket) = self.held.take() {
            self.listener = Some(socket.listen(1024).expect("a bound socket can listen"));
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }

    fn shut(&mut self, address: SocketAddr) {
        if self.listener.take().is_some() {
            self.held = Some(bound(address).0);
        }
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<TcpStream> {
        self.waiting = Some(context.waker().clone());
        match self.listener.as_ref().map(|listener| listener.poll_accept(context)) {
            Some(Poll::Ready(Ok((stream, _)))) => Poll::Ready(stream),
            Some(Poll::Ready(Err(_))) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

async fn accept(shared: Arc<Shared>) {
    // Dropped with this task, which ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let stream = poll_fn(|context| shared.gate().poll_accept(context)).await;
        shared.plan().connections += 1;
        connections.spawn(converse(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers requests until a fault or the caller ends the connection.
async fn converse(mut stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut pending = Vec::new();
    loop {
        let request = Request::read(&mut stream, &mut pending).await?;
        let fault = shared.plan().meet(request.target());
        let response = match fault {
            None => shared.forward(request).await?,
            Some(Fault::Throttle) => Response::error("400 Bad Request", "ThrottlingException"),
            Some(Fault::ServerError) => {
                Response::error("503 Service Unavailable", "ServiceUnavailableException")
            }
            Some(Fault::Delay(time)) => {
                let response = shared.forward(request).await?;
                tokio::time::sleep(time).await;
                response
            }
            Some(Fault::CutBeforeResponse) => {
                shared.forward(request).await?;
                return None;
            }
            Some(Fault::CutInBody) => {
                let bytes = shared.forward(request).await?.bytes(|body| body.len() / 2);
                stream.write_all(&bytes).await.ok()?;
                return stream.shutdown().await.ok();
            }
            Some(Fault::Corrupt) => {
                let mut response = shared.forward(request).await?;
                response.body.iter_mut().step_by(7).for_each(|byte| *byte ^= 1);
                response
            }
            Some(Fault::RefuseConnections) => return None,
            Some(Fault::Hang) => {
                while stream.read(&mut [0; 1024]).await.ok()? != 0 {}
                return None;
            }
        };
        stream.write_all(&response.bytes(|body| body.len())).await.ok()?;
    }
}

struct Request {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    /// Nothing if the connection ended, or if this is no request with a length.
    async fn read(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Self> {
        let end = loop {
            match pending.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end,
                None => more(stream, pending).await?,
            }
        };
        let head = String::from_utf8(pending.drain(..end + 4).collect()).ok()?;
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
        let mut headers = HeaderMap::new();
        let mut length = 0;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name: HeaderName = name.parse().ok()?;
            match name.as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "transfer-encoding" => return None,
                _ if is_framing(&name) => {}
                _ => {
                    headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
                }
            }
        }
        while pending.len() < length {
            more(stream, pending).await?;
        }
        Some(Self { method, path, headers, body: pending.drain(..length).collect() })
    }

    fn target(&self) -> &str {
        self.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or(&self.path)
    }
}

/// An answer before it has a length.
struct Response {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Response {
    fn error(status: &str, kind: &str) -> Self {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\n");
        let body = format!(r#"{{"__type":"{kind}","message":"the test says so"}}"#);
        Self { head: head.into_bytes(), body: body.into_bytes() }
    }

    /// As it goes over the wire, with the whole length and only a part of the body.
    fn bytes(self, part: impl Fn(&[u8]) -> usize) -> Vec<u8> {
        let length = format!("content-length: {}\r\n\r\n", self.body.len());
        [&self.head, length.as_bytes(), &self.body[..part(&self.body)]].concat()
    }
}

/// A socket that has the port, on which nobody listens yet.
fn bound(address: SocketAddr) -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("there is IPv4");
    socket.set_reuseaddr(true).expect("a new socket takes options");
    socket.bind(address).expect("the port is free");
    let address = socket.local_addr().expect("a bound socket has an address");
    (socket, address)
}

async fn more(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(pending).await.ok()?;
    (read != 0).then_some(())
}

/// Headers about one connection, which end here.
fn is_framing(name: &HeaderName) -> bool {
    ["connection", "keep-alive", "content-length", "transfer-encoding"].contains(&name.as_str())
}
