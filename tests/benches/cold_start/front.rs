//! What stands before a server, plain or with TLS, and notes when its callers wait for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// From a moment to a later one.
pub type Span = (Instant, Instant);

/// See the module. It stands until it is dropped.
pub struct Front {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    running: JoinHandle<()>,
}

impl Front {
    /// Before the server at this address.
    pub async fn before(server: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let url = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let noted = spans.clone();
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (began, noted, tls) = (Instant::now(), noted.clone(), tls.clone());
                stream.set_nodelay(true).expect("a socket can be told to");
                tokio::spawn(async move {
                    match tls {
                        None => carry(stream, server, began, &noted).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => carry(stream, server, began, &noted).await,
                            Err(error) => panic!("no handshake: {error}"),
                        },
                    }
                });
            }
        });
        Self { url, spans, running }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// When callers waited, since this was last asked: for a connection, and for answers.
    pub fn waited(&self) -> Vec<Span> {
        std::mem::take(&mut *self.spans.lock().expect("no bench panics with this lock"))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// How long it was in all, with what overlaps counted once.
pub fn together(mut spans: Vec<Span>) -> Duration {
    spans.sort();
    let (mut total, mut covered) = (Duration::ZERO, None::<Instant>);
    for (from, to) in spans {
        let from = covered.map_or(from, |covered| from.max(covered));
        total += to.saturating_duration_since(from);
        covered = Some(covered.map_or(to, |covered| covered.max(to)));
    }
    total
}

/// Carries bytes both ways. HTTP/1.1 asks and is answered in turn.
async fn carry(
    mut caller: impl AsyncRead + AsyncWrite + Unpin,
    server: SocketAddr,
    began: Instant,
    spans: &Mutex<Vec<Span>>,
) {
    let mut server = TcpStream::connect(server).await.expect("the server is there");
    server.set_nodelay(true).expect("a socket can be told to");
    let note = |from| spans.lock().expect("no bench panics with this lock").push((from, Instant::now()));
    note(began);
    let mut asked = None;
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let carried = tokio::select! {
            read = caller.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    asked.get_or_insert_with(Instant::now);
                    server.write_all(&up[..length]).await
                }
            },
            read = server.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    let written = match caller.write_all(&down[..length]).await {
                        Ok(()) => caller.flush().await,
                        Err(error) => Err(error),
                    };
                    if let Some(asked) = asked.take() {
                        note(asked);
                    }
                    written
                }
            },
        };
        if carried.is_err() {
            return;
        }
    }
}
