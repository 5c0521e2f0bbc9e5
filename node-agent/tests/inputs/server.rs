//! A server that answers every request the same way, well or badly, and counts what it could send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes, head and body.
    Raw(Vec<u8>),
    /// A good head, then this, then `0` for ever.
    Endless(&'static str),
    /// A good head, then a byte a second.
    Slow,
    /// Nothing.
    Silent,
}

impl Reply {
    /// A whole answer.
    pub fn text(status: &str, body: &str) -> Reply {
        let length = body.len();
        Reply::Raw(
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                .into(),
        )
    }
}

/// The server; it ends with the test's runtime.
#[derive(Debug)]
pub struct Server {
    pub url: String,
    sent: Arc<AtomicU64>,
}

impl Server {
    /// The same to everybody.
    pub async fn start(reply: Reply) -> Server {
        Server::by(move |_| reply.clone()).await
    }

    /// By the first line of the request.
    pub async fn by(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sent, reply) = (Arc::new(AtomicU64::new(0)), Arc::new(reply));
        let count = sent.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, reply.clone(), count.clone()));
            }
        });
        Server { url, sent }
    }

    /// How many bytes the other side has taken.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    reply: Arc<impl Fn(&str) -> Reply>,
    sent: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        head.extend_from_slice(&piece[..length]);
    }
    let head = String::from_utf8_lossy(&head);
    let good = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    match reply(head.lines().next().unwrap_or_default()) {
        Reply::Raw(bytes) => stream.write_all(&bytes).await,
        Reply::Endless(beginning) => {
            stream.write_all(format!("{good}{beginning}").as_bytes()).await?;
            let zeros = [b'0'; 64 * 1024];
            loop {
                let written = stream.write(&zeros).await?;
                sent.fetch_add(written as u64, Ordering::Relaxed);
            }
        }
        Reply::Slow => {
            stream.write_all(good.as_bytes()).await?;
            loop {
                stream.write_all(b"0").await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Reply::Silent => std::future::pending().await,
    }
}
