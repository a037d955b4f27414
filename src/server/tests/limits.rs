//! Connections of one client.

use super::fixture::{REQUEST, World, run};

#[test]
fn behind_a_proxy_the_client_is_counted_and_not_the_proxy() {
    run(async {
        let world =
            World::new("proxy_protocol: { trusted: [192.0.2.0/24] }", "connections_per_client: 1");
        let introduce = async |address: &str| {
            let mut client = world.connect();
            client.send(format!("PROXY TCP4 {address} 192.0.2.1 7777 443\r\n{REQUEST}")).await;
            client
        };
        let mut first = introduce("198.51.100.7").await;
        assert!(first.answer().await.starts_with("HTTP/1.1 404"));
        let mut other = introduce("198.51.100.8").await;
        assert!(other.answer().await.starts_with("HTTP/1.1 404"));
        let mut second = introduce("198.51.100.7").await;
        assert!(second.rest().await.starts_with(b"HTTP/1.1 503"));
        assert_eq!(world.metric("rhumb_connections_refused_total{why=\"client\"}"), 1.0);
        drop(first.stream);
        first.task.await.unwrap();
        let mut third = introduce("198.51.100.7").await;
        assert!(third.answer().await.starts_with("HTTP/1.1 404"), "its place is free again");
    });
}
