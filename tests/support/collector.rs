//! A collector of traces of the test's own: OTLP over HTTP, as protobuf.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// What came, head and body.
#[derive(Default)]
pub struct Collector {
    pub received: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Collector {
    pub async fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let collector = Arc::new(Self::default());
        let keeps = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keeps = keeps.clone();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    loop {
                        let mut head = String::new();
                        while !head.ends_with("\r\n\r\n") {
                            if stream.read_line(&mut head).await.ok()? == 0 {
                                return Some(());
                            }
                        }
                        let lower = head.to_ascii_lowercase();
                        let length = lower.split("content-length: ").nth(1)?;
                        let length: usize = length.lines().next()?.parse().ok()?;
                        let mut body = vec![0; length];
                        stream.read_exact(&mut body).await.ok()?;
                        keeps.received.lock().push((head, body));
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                        stream.write_all(answer).await.ok()?;
                    }
                });
            }
        });
        (collector, address)
    }

    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock();
        let requests = received.iter().map(|(_, body)| {
            ExportTraceServiceRequest::decode(&body[..]).expect("OTLP, as protobuf")
        });
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

pub fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|a| a.key == name);
    format!(
        "{:?}",
        found
            .and_then(|a| a.value.as_ref())
            .and_then(|v| v.value.as_ref())
    )
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let bytes = digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).expect("ASCII"), 16));
    bytes.collect::<Result<_, _>>().expect("hex")
}
