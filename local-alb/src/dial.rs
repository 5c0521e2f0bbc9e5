//! Connections to targets: TCP, or TLS with any certificate.

use crate::idle::Idle;
use axum::http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a TLS handshake with a target can take (ALB user guide, "HTTP 502").
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Opens connections to targets. The authority of the URI is a socket address; its scheme says whether to speak TLS.
#[derive(Clone)]
pub(crate) struct Dial {
    connect_timeout: Duration,
    idle_timeout: Duration,
    tls: Option<TlsConnector>,
}

impl Dial {
    /// A connection that is not accepted within `connect_timeout` fails with [`io::ErrorKind::TimedOut`], as does an open
    /// one on which no byte passes for `idle_timeout`.
    pub(crate) fn new(connect_timeout: Duration, idle_timeout: Duration) -> Dial {
        Dial { connect_timeout, idle_timeout, tls: tls().ok() }
    }

    /// The same with other time-outs.
    pub(crate) fn within(&self, time: Duration) -> Dial {
        Dial { connect_timeout: time, idle_timeout: time, tls: self.tls.clone() }
    }

    async fn open(self, to: Uri) -> io::Result<TokioIo<TargetStream>> {
        let address: Option<SocketAddr> = to.authority().and_then(|address| address.as_str().parse().ok());
        let address = address.ok_or_else(|| io::Error::other("the target has no socket address"))?;
        let timed_out =
            || io::Error::new(io::ErrorKind::TimedOut, "the target did not accept the connection");
        let stream = timeout(self.connect_timeout, TcpStream::connect(address)).await;
        let stream = stream.unwrap_or_else(|_| Err(timed_out()))?;
        stream.set_nodelay(true)?;
        let stream = Idle::new(stream, self.idle_timeout);
        Ok(TokioIo::new(if to.scheme_str() == Some("https") {
            // An address as the name, so that no name is sent.
            let tls = self.tls.ok_or_else(|| io::Error::other("TLS is not available"))?;
            let greeting = tls.connect(ServerName::from(address.ip()), stream);
            let greeted = timeout(HANDSHAKE, greeting).await;
            let slow = || io::Error::other("the TLS handshake with the target took longer than 10 s");
            TargetStream::Tls(Box::new(greeted.unwrap_or_else(|_| Err(slow()))?))
        } else {
            TargetStream::Plain(stream)
        }))
    }
}

/// Speaks TLS 1.2 and 1.3.
fn tls() -> Result<TlsConnector, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<TargetStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TargetStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().open(to))
    }
}

/// A connection to a target.
pub(crate) enum TargetStream {
    Plain(Idle<TcpStream>),
    Tls(Box<TlsStream<Idle<TcpStream>>>),
}

impl Connection for TargetStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for TargetStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TargetStream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            TargetStream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for TargetStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            TargetStream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            TargetStream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TargetStream::Plain(stream) => Pin::new(stream).poll_flush(context),
            TargetStream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TargetStream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            TargetStream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// An ALB does not check the certificates of its targets (ALB user guide, "Target groups", section "Routing configuration").
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
