//! Where an attacker would collect: counts every byte that reaches it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// The running collector. It ends with the process.
pub(crate) struct Collector {
    /// `127.0.0.1:port`.
    pub address: String,
    bytes: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Collector {
    pub(crate) async fn start() -> io::Result<Self> {
        let listening = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listening.local_addr()?.to_string();
        let (bytes, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counters = (bytes.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listening.accept().await {
                counters.1.fetch_add(1, Ordering::Relaxed);
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    counters.0.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { address, bytes, connections })
    }

    pub(crate) fn seen(&self) -> String {
        let (connections, bytes) =
            (self.connections.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        format!("{connections} connections, {bytes} bytes")
    }
}
