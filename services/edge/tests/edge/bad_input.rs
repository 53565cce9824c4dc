use std::net::SocketAddr;

use kit_bus::{RawRecord, Topic};
use kit_event::Timestamp;
use kit_link::{CloseCode, FromAgent, FromEdge, limits};
use kit_token::{AgentKey, Issuer, Kind};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::agent::{Agent, hello};
use crate::network::{COMMAND, Unit, now, on_network};

async fn refused_hello(addr: SocketAddr, unit: &Unit, text: String, code: CloseCode, says: &str) {
    let mut agent = Agent::dial(addr, unit).await;
    agent.say(text).await;
    agent.closed().await.expect(code, says);
}

#[test]
fn a_first_frame_that_is_no_hello_is_told_so() {
    on_network(|net| async move {
        let (unit, addr) = (net.unit("first-frame"), net.edges[0]);
        let protocol = CloseCode::ProtocolError;
        refused_hello(addr, &unit, "Jane Doe".into(), protocol, "not JSON at line 1").await;
        refused_hello(addr, &unit, "{}".into(), protocol, "missing field `frame`").await;
        let wrong = r#"{"frame":"hello","token":7}"#;
        refused_hello(addr, &unit, wrong.into(), protocol, "hello: expected a string").await;
        let early = r#"{"frame":"applied","next":3}"#;
        refused_hello(addr, &unit, early.into(), protocol, "first frame must be hello").await;
        let later = r#"{"frame":"greetings"}"#;
        refused_hello(addr, &unit, later.into(), protocol, "first frame must be hello").await;
        let huge = format!(r#"{{"frame":"hello","token":"{}"}}"#, "x".repeat(9_000));
        let too_large = CloseCode::FrameTooLarge;
        refused_hello(addr, &unit, huge, too_large, "at most 8192 bytes").await;
    });
}

#[test]
fn nothing_may_follow_hello_before_welcome() {
    on_network(|net| async move {
        let unit = net.unit("eager");
        let mut agent = Agent::dial(net.edges[0], &unit).await;
        agent.send(&FromAgent::Hello(hello(&unit))).await;
        agent.fact(1, 1).await;
        agent.closed().await.expect(CloseCode::ProtocolError, "between hello and welcome");
        assert!(net.of_unit(Topic::Facts, &unit).await.is_empty());
    });
}

#[test]
fn a_hello_that_does_not_come_ends_the_link() {
    on_network(|net| async move {
        let unit = net.unit("silent");
        let agent = Agent::dial(net.edges[0], &unit).await;
        agent.closed().await.expect(CloseCode::HelloTimeout, "no hello within 5000 ms");
    });
}

#[test]
fn a_token_that_is_not_the_units_own_lets_nobody_in() {
    on_network(|net| async move {
        let (unit, addr) = (net.unit("tokens"), net.edges[0]);
        let with = |token: String| {
            let mut hello = hello(&unit);
            hello.token = token;
            serde_json::to_string(&FromAgent::Hello(hello)).unwrap()
        };
        let bad = CloseCode::BadToken;
        let key = unit.key();
        let expired = key.sign_hello(now().plus_ms(-3_600_000)).unwrap();
        refused_hello(addr, &unit, with(expired), bad, "expired").await;
        let ahead = key.sign_hello(now().plus_ms(3_600_000)).unwrap();
        refused_hello(addr, &unit, with(ahead), bad, "not valid yet").await;
        refused_hello(addr, &unit, with("x.y.z".into()), bad, "does not read").await;
        let dir = tempfile::tempdir().unwrap();
        let forged = AgentKey::generate(&unit.id, &dir.path().join("key")).unwrap();
        let forged = forged.sign_hello(now()).unwrap();
        let not_enrolled = "not signed with the key of an enrolled unit";
        refused_hello(addr, &unit, with(forged), bad, not_enrolled).await;
        let stranger = "nobody-0001".parse().unwrap();
        let stranger = AgentKey::generate(&stranger, &dir.path().join("other")).unwrap();
        let stranger = stranger.sign_hello(now()).unwrap();
        refused_hello(addr, &unit, with(stranger), bad, not_enrolled).await;
        let issuer = Issuer::open(dir.path(), false).unwrap();
        let ttl = std::time::Duration::from_mins(1);
        let units = [unit.id.clone()];
        let staff = issuer.issue(Kind::Staff, "1", &units, None, ttl, now()).unwrap();
        refused_hello(addr, &unit, with(staff), bad, "issuer is not trusted").await;
    });
}

#[test]
fn a_version_that_the_edge_does_not_speak_is_told_which_it_does() {
    on_network(|net| async move {
        let unit = net.unit("version");
        let mut later = hello(&unit);
        later.versions = vec!["unit.v9".to_owned()];
        let text = serde_json::to_string(&FromAgent::Hello(later)).unwrap();
        let code = CloseCode::VersionUnsupported;
        refused_hello(net.edges[0], &unit, text, code, "this edge speaks unit.v1").await;
    });
}

#[test]
fn a_frame_that_breaks_the_rules_ends_the_link_with_what_was_wrong() {
    on_network(|net| async move {
        let unit = net.unit("frames");
        let protocol = CloseCode::ProtocolError;
        let large = format!(r#"{{"frame":"pong","x":"{}"}}"#, "x".repeat(limits::FRAME_BYTES_MAX));
        let cases = [
            (Message::text("{\"frame\":\"fact\","), protocol, "ends too early"),
            (Message::text(r#"{"frame":"fact","seq":"1"}"#), protocol, "a unit seq is written E-S"),
            (Message::text(r#"{"frame":"applied"}"#), protocol, "applied: missing field `next`"),
            (Message::binary(vec![1, 2, 3]), protocol, "binary frames are not used"),
            (Message::text(large), CloseCode::FrameTooLarge, "at most 65536 bytes"),
            (
                Message::text(serde_json::to_string(&FromAgent::Hello(hello(&unit))).unwrap()),
                protocol,
                "hello comes once",
            ),
        ];
        for (message, code, says) in cases {
            let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
            agent.raw(message).await;
            agent.closed().await.expect(code, says);
        }
    });
}

#[test]
fn an_unknown_frame_is_named_and_passed_over() {
    on_network(|net| async move {
        let unit = net.unit("unknown");
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        agent.say(r#"{"frame":"reauth","token":"x"}"#).await;
        let FromEdge::Error(error) = agent.next().await else { panic!("an error is expected") };
        assert_eq!(error.problem, "unknown-frame");
        assert!(error.detail.starts_with("reauth"), "{}", error.detail);
        agent.fact(1, 1).await;
        agent.acked(1, 1).await;
        agent.leave().await;
    });
}

async fn http(addr: SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 2_048];
    let bytes = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..bytes]).into_owned()
}

#[test]
fn what_is_no_upgrade_is_answered_as_http() {
    on_network(|net| async move {
        let addr = net.edges[0];
        let answer = http(addr, "GET / HTTP/1.1\r\nhost: e\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("/unit/v1"), "{answer}");
        let answer = http(addr, "GET /unit/v1 HTTP/1.1\r\nhost: e\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RFC 6455"), "{answer}");
        let upgrade = "GET /unit/v1 HTTP/1.1\r\nhost: e\r\nconnection: upgrade\r\n\
            upgrade: websocket\r\nsec-websocket-version: 13\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let answer = http(addr, upgrade).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("unit.v1"), "{answer}");
        let answer = http(addr, "no http at all\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    });
}

#[test]
fn a_request_cut_in_the_middle_is_parked_and_the_next_one_goes_down() {
    on_network(|net| async move {
        let unit = net.unit("cut");
        let placed = net.command(&unit, "1").await;
        let mut record: RawRecord = net.of_unit(Topic::Requests, &unit).await.remove(0);
        assert_eq!(record.offset, placed.offset);
        record.payload.as_mut().unwrap().truncate(6);
        let log_record = edge::backlog::log_record(std::sync::Arc::new(record));
        let out = edge::delivery_queue::Outgoing { log_record, in_place: true };
        let opened = edge::downlink::open(&net.bus, &out, Timestamp::from_unix_ms(0)).await;
        assert!(matches!(opened, edge::downlink::Opened::Unreadable));
        let parked = net.of_unit(Topic::Parked, &unit).await;
        assert_eq!(parked.len(), 1);
        assert!(parked[0].header("arteria_parked_cause").unwrap().contains("does not fit"));
        // On the log itself: a command whose frame nobody could take, and one after it.
        let vast = json!({"note": "x".repeat(limits::FRAME_BYTES_MAX)});
        net.bus.publish_request(&net.request(&unit, "vast", COMMAND, vast)).await.unwrap();
        net.command(&unit, "2").await;
        let (mut agent, _) = Agent::connect(net.edges[0], &unit).await;
        assert_eq!(agent.request().await.1, unit.request_id("1"));
        assert_eq!(agent.request().await.1, unit.request_id("2"));
        assert_eq!(net.of_unit(Topic::Parked, &unit).await.len(), 2);
        agent.leave().await;
    });
}

#[test]
fn an_edge_without_a_place_says_when_to_come_back() {
    on_network(|net| async move {
        let (addr, life) = net.narrow_edge(1, 64).await;
        let (unit, other) = (net.unit("placed"), net.unit("turned-away"));
        let (agent, _) = Agent::connect(addr, &unit).await;
        let mut turned_away = Agent::dial(addr, &other).await;
        turned_away.send(&FromAgent::Hello(hello(&other))).await;
        let closed = turned_away.closed().await;
        closed.expect(CloseCode::Overloaded, "no place for another link");
        let pause_ms = closed.reason["retry_after_ms"].as_u64().unwrap();
        assert!((1_000..=5_000).contains(&pause_ms), "{pause_ms}");
        agent.leave().await;
        // The place is free when the first unit's absence is on the log.
        let welcomed = async {
            loop {
                let mut agent = Agent::dial(addr, &other).await;
                agent.send(&FromAgent::Hello(hello(&other))).await;
                if let FromEdge::Welcome(_) = agent.next().await {
                    return agent;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let within = std::time::Duration::from_secs(10);
        let agent = tokio::time::timeout(within, welcomed).await.unwrap();
        agent.leave().await;
        life.stop();
        life.drain().await.unwrap();
    });
}

#[test]
fn sockets_without_a_token_keep_no_clinic_out() {
    on_network(|net| async move {
        let (addr, life) = net.narrow_edge(1, 8).await;
        let (unit, stranger) = (net.unit("clinic"), net.unit("stranger"));
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(tokio::net::TcpStream::connect(addr).await.unwrap());
        }
        let mut upgraded = Vec::new();
        for _ in 0..12 {
            upgraded.push(Agent::dial(addr, &stranger).await);
        }
        let half = b"GET /unit/v1 HTTP/1.1\r\nhost: e\r\n";
        let mut halves = Vec::new();
        for _ in 0..7 {
            let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
            socket.write_all(half).await.unwrap();
            halves.push(socket);
        }
        let (mut agent, _) = Agent::connect(addr, &unit).await;
        agent.fact(1, 1).await;
        agent.acked(1, 1).await;
        // The oldest made room for the newest, long before any of them was too slow.
        let mut sink = [0; 16];
        let read = silent[0].read(&mut sink);
        let read = tokio::time::timeout(std::time::Duration::from_secs(1), read).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
        agent.leave().await;
        life.stop();
        life.drain().await.unwrap();
    });
}

#[test]
fn a_unit_that_connects_again_and_again_is_told_to_stay_away_for_longer() {
    on_network(|net| async move {
        let (unit, other) = (net.unit("restless"), net.unit("neighbour"));
        let mut pauses = Vec::new();
        for _ in 0..60 {
            let mut agent = Agent::dial(net.edges[0], &unit).await;
            agent.send(&FromAgent::Hello(hello(&unit))).await;
            if let FromEdge::Error(error) = agent.next().await {
                assert_eq!(error.problem, "overloaded");
                let closed = agent.closed().await;
                assert_eq!(closed.code, CloseCode::Overloaded.code());
                pauses.push(closed.reason["retry_after_ms"].as_u64().unwrap());
            }
        }
        assert!(pauses.len() >= 10, "{pauses:?}");
        assert!(pauses.last() > pauses.first(), "{pauses:?}");
        let (agent, _) = Agent::connect(net.edges[0], &other).await;
        agent.leave().await;
    });
}
