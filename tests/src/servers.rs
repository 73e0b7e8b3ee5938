//! Stand-in servers on loopback that record every byte that reaches them and answer by script.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Authority, Shown};

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Seen>,
    running: JoinHandle<()>,
}

/// What reached a server.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    wire: Mutex<Vec<u8>>,
    requests: Mutex<Vec<Received>>,
}

/// One request as a server read it.
#[derive(Clone, Debug)]
pub struct Received {
    /// How many came before it.
    pub number: usize,
    /// On which connection, from 1.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The one header of that name, which must not be there twice.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        let value = found.next().map(|(_, value)| value.as_slice());
        assert!(found.next().is_none(), "the header {name} came twice");
        value
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// What a server writes, and what it does after that.
#[derive(Clone)]
pub struct Answer {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Clone)]
enum Then {
    /// Reads the next request.
    Next,
    Close,
    /// Keeps the connection open and says nothing more.
    Hang,
    Repeat {
        chunk: Vec<u8>,
        pause: Duration,
    },
}

impl Answer {
    /// A complete answer; the connection may be used again.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!(
            "HTTP/1.1 {status} Because\r\ncontent-length: {}\r\n{}\r\n",
            body.len(),
            headers.collect::<String>(),
        );
        Self { bytes: [head.as_bytes(), body].concat(), then: Then::Next }
    }

    /// An empty answer.
    pub fn status(status: u16) -> Self {
        Self::new(status, &[], "")
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, &[("location", location)], "")
    }

    /// These bytes, and the end of the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::Close }
    }

    /// No answer at all, on a connection that stays open.
    pub fn none() -> Self {
        Self { bytes: Vec::new(), then: Then::Hang }
    }

    /// These bytes, then the same chunk for ever, with a pause before each.
    pub fn endless(start: impl Into<Vec<u8>>, chunk: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self { bytes: start.into(), then: Then::Repeat { chunk: chunk.into(), pause } }
    }
}

type Script = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

impl Server {
    /// An HTTP server on 127.0.0.1.
    pub async fn plain(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::plain_at("127.0.0.1:0", script).await
    }

    /// An HTTP server at an address of the caller's.
    pub async fn plain_at(
        address: &str,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(address, "http", None, Arc::new(script)).await
    }

    /// A server that doesn't wait for a request: it answers to the first bytes that come.
    pub async fn blunt(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Seen::default());
        let counted = seen.clone();
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let _open = Open::new(&counted);
                let mut stream = Recording { stream, seen: counted.clone() };
                if stream.read(&mut [0; 4096]).await.is_ok() && stream.write_all(&answer.bytes).await.is_ok()
                {
                    let _ = stream.shutdown().await;
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read != 0) {}
                }
            }
        });
        Self { address, scheme: "http", seen, running }
    }

    /// An HTTPS server for `localhost`.
    pub async fn tls(
        authority: &Authority,
        shown: Shown,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let acceptor = authority.acceptor(shown);
        Self::start("127.0.0.1:0", "https", Some(acceptor), Arc::new(script)).await
    }

    async fn start(address: &str, scheme: &'static str, tls: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind(address).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Seen::default());
        let running = tokio::spawn(accept(listener, tls, seen.clone(), script));
        Self { address, scheme, seen, running }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL on this server: by address, or for TLS by `localhost`.
    pub fn url(&self, path: &str) -> String {
        match self.scheme {
            "https" => format!("https://localhost:{}{path}", self.port()),
            _ => format!("http://{}{path}", self.address),
        }
    }

    /// The host and port of [`Server::url`].
    pub fn host(&self) -> String {
        match self.scheme {
            "https" => format!("localhost:{}", self.port()),
            _ => self.address.to_string(),
        }
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every byte that reached the socket, encrypted or not.
    pub fn wire(&self) -> Vec<u8> {
        self.seen.wire.lock().expect("no test panics with this lock").clone()
    }

    /// Every request that was read completely.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().expect("no test panics with this lock").clone()
    }

    /// The one request that came.
    pub fn request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "one request came");
        requests.remove(0)
    }

    /// Waits until no connection is open, so that nothing more can arrive.
    pub async fn settled(&self) {
        let began = Instant::now();
        while self.seen.open.load(Ordering::SeqCst) != 0 {
            assert!(began.elapsed() < Duration::from_secs(5), "a connection stays open");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, seen: Arc<Seen>, script: Script) {
    // Dropped with this task, which ends every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let open = Open::new(&seen);
        let stream = Recording { stream, seen: seen.clone() };
        let (tls, seen, script) = (tls.clone(), seen.clone(), script.clone());
        connections.spawn(async move {
            let _open = open;
            match tls {
                None => converse(stream, connection, &seen, &script).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => converse(stream, connection, &seen, &script).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Answers requests until either side ends the connection.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    seen: &Seen,
    script: &Script,
) -> Option<()> {
    let mut pending = Vec::new();
    loop {
        let received = read_request(&mut stream, &mut pending, connection, seen).await?;
        let Answer { bytes, then } = script(&received);
        stream.write_all(&bytes).await.ok()?;
        stream.flush().await.ok()?;
        match then {
            Then::Next => {}
            Then::Close => return stream.shutdown().await.ok(),
            Then::Hang => while stream.read(&mut [0; 1024]).await.ok()? != 0 {},
            Then::Repeat { chunk, pause } => loop {
                tokio::time::sleep(pause).await;
                stream.write_all(&chunk).await.ok()?;
                stream.flush().await.ok()?;
            },
        }
    }
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    pending: &mut Vec<u8>,
    connection: usize,
    seen: &Seen,
) -> Option<Received> {
    let head = loop {
        if let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = pending.drain(..end + 4).collect();
            break head;
        }
        more(stream, pending).await?;
    };
    let mut lines = head[..head.len() - 4].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let first = String::from_utf8_lossy(lines.next()?).into_owned();
    let mut first = first.split(' ').map(str::to_owned);
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').expect("a header has a colon");
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        (name, line[colon + 1..].trim_ascii_start().to_vec())
    };
    let mut received = Received {
        number: 0,
        connection,
        method: first.next()?,
        target: first.next()?,
        headers: lines.map(header).collect(),
        body: Vec::new(),
    };
    let length = received.header("content-length").map_or(0, |length| {
        let length = std::str::from_utf8(length).expect("a length is digits");
        length.parse().expect("a length is digits")
    });
    while pending.len() < length {
        more(stream, pending).await?;
    }
    received.body = pending.drain(..length).collect();
    let mut requests = seen.requests.lock().expect("no test panics with this lock");
    received.number = requests.len();
    requests.push(received.clone());
    Some(received)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), pending: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(pending).await.ok()?;
    (read != 0).then_some(())
}

/// Counts a connection while it is open.
struct Open(Arc<Seen>);

impl Open {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.open.fetch_add(1, Ordering::SeqCst);
        Self(seen.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps a copy of every byte that arrives.
struct Recording {
    stream: TcpStream,
    seen: Arc<Seen>,
}

impl AsyncRead for Recording {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let mut wire = this.seen.wire.lock().expect("no test panics with this lock");
        wire.extend_from_slice(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Recording {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
