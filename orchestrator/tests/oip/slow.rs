//! Clients that send nothing, or too slowly, cost others nothing; and a refusal does not wait for what it refuses.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use weir_orchestrator::gateway::oip::InferFailure;

use crate::fake::{Mood, serve, serve_in};

/// Of each kind of client that holds a connection and does nothing with it.
const IDLE: usize = 400;

async fn begun(address: &str, sent: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(sent.as_bytes()).await.unwrap();
    socket
}

#[actix_web::test]
async fn half_sent_heads_are_closed_and_nobody_waits_for_them() {
    let (address, server) = serve();
    let mut slow = Vec::new();
    for _ in 0..IDLE {
        slow.push(begun(&address, "GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ").await);
    }
    let mut kept = Vec::new();
    for _ in 0..IDLE {
        kept.push(begun(&address, "").await);
    }
    let (client, mut times) = (reqwest::Client::new(), Vec::new());
    for _ in 0..100 {
        let began = Instant::now();
        let reply = client.get(format!("http://{address}/v2/health/live")).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    // It is far less; a busy machine must not fail the test.
    assert!(times[98] < Duration::from_millis(50), "{:?}", times[98]);
    let mut said = String::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), slow[0].read_to_string(&mut said)).await;
    assert!(ended.is_ok() && said.starts_with("HTTP/1.1 408 "), "{said}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_refusal_comes_before_the_body_does() {
    let overloaded = InferFailure::Overloaded { retry_after: Duration::from_millis(100) };
    let (address, server) = serve_in(Mood::Refusing(overloaded));
    let head = "POST /v2/models/resnet20/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n";
    let mut times = Vec::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let began = Instant::now();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut said = [0; 1024];
        let length = socket.read(&mut said).await.unwrap();
        times.push(began.elapsed());
        let said = String::from_utf8_lossy(&said[..length]).to_lowercase();
        assert!(said.starts_with("http/1.1 503 ") && said.contains("\r\nretry-after: 1\r\n"), "{said}");
    }
    times.sort_unstable();
    assert!(times[25] < Duration::from_millis(10), "{:?}", times[25]);
    server.stop(false).await;
}
