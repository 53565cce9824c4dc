//! The bare program: the unavoidable steps and nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::extract::State;
use axum::routing::post;
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use crate::figures::Figures;

/// As many partitions as the network's topics have by default.
const PARTITIONS: i32 = 64;
/// A body of the size of a booking.
const BODY_BYTES: usize = 300;
/// How long one poll waits. This client at times sleeps a whole poll through although a record has
/// come (a hundred of 2,000 tries took exactly 100 ms when polls were that long), so it is short.
/// What remains of such stalls is not ours: one answer in fifty comes 44 ms after the broker
/// appended the record, however long fetches and polls wait, which is the time of a delayed
/// acknowledgement. Readers with more traffic on their connection do not show it.
const POLL_WITHIN: Duration = Duration::from_millis(1);
/// No round trip takes this long unless something is broken.
const ROUND_TRIP_MS_MAX: u64 = 10_000;

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;
type Kafka = ThreadedProducer<DefaultProducerContext>;

/// A running floor.
pub struct Floor {
    url: String,
    http: reqwest::Client,
    peer: tokio::process::Child,
    stop: Arc<AtomicBool>,
    _dir: tempfile::TempDir,
}

struct Shared {
    out: Kafka,
    topic: String,
    waiting: Waiting,
    back: Kafka,
    topic_back: String,
    next: AtomicU64,
}

impl Floor {
    /// Creates two topics of its own on the broker and starts the program and its peer.
    pub async fn start(kafka: &str) -> Result<Self> {
        let (topic, topic_back) = create_topics(kafka).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let waiting = Waiting::default();
        let (to_socket, frames) = mpsc::unbounded_channel();
        tail(kafka, &topic, &stop, move |key| {
            let _ = to_socket.send(key);
        })?;
        let answered = waiting.clone();
        tail(kafka, &topic_back, &stop, move |key| {
            let waiter = answered.lock().ok().and_then(|mut w| w.remove(&key));
            if let Some(waiter) = waiter {
                let _ = waiter.send(());
            }
        })?;
        let shared = Arc::new(Shared {
            out: producer(kafka)?,
            topic,
            waiting,
            back: producer(kafka)?,
            topic_back,
            next: AtomicU64::new(0),
        });
        let sockets = TcpListener::bind("127.0.0.1:0").await?;
        let peer_url = format!("ws://{}/", sockets.local_addr()?);
        tokio::spawn(serve_peer(shared.clone(), sockets, frames));
        let routes = axum::Router::new().route("/", post(round_trip)).with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        tokio::spawn(async move {
            use axum::serve::ListenerExt;
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            axum::serve(listener, routes).await
        });
        let dir = tempfile::tempdir()?;
        let peer = tokio::process::Command::new(std::env::current_exe()?)
            .arg("peer")
            .arg(peer_url)
            .arg(dir.path())
            .kill_on_drop(true)
            .spawn()
            .context("starting the peer")?;
        let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
        Ok(Self { url: format!("http://{addr}/"), http, peer, stop, _dir: dir })
    }

    /// Makes `tries` round trips, `in_flight` at a time.
    pub async fn measure(&self, tries: usize, in_flight: usize) -> Result<Figures> {
        let trips = futures_util::stream::iter(0..tries).map(|_| self.round_trip());
        trips.buffer_unordered(in_flight).try_collect().await
    }

    async fn round_trip(&self) -> Result<Duration> {
        let begun = Instant::now();
        let answer = self.http.post(&self.url).body("x".repeat(BODY_BYTES)).send().await?;
        ensure!(answer.status().is_success(), "the floor answered {}", answer.status());
        answer.bytes().await?;
        Ok(begun.elapsed())
    }

    /// The far end, for its processor time.
    pub const fn peer(&self) -> &tokio::process::Child {
        &self.peer
    }

    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.peer.kill().await;
    }
}

async fn round_trip(State(shared): State<Arc<Shared>>, body: String) -> Result<String, String> {
    let key = shared.next.fetch_add(1, Ordering::SeqCst).to_string();
    let (answered, answer) = oneshot::channel();
    shared.waiting.lock().map_err(|e| e.to_string())?.insert(key.clone(), answered);
    let record = BaseRecord::to(&shared.topic).key(&key).payload(&body);
    shared.out.send(record).map_err(|(error, _)| error.to_string())?;
    let limit = Duration::from_millis(ROUND_TRIP_MS_MAX);
    tokio::time::timeout(limit, answer)
        .await
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    Ok(key)
}

/// Accepts the one peer and serves it to its end.
async fn serve_peer(
    shared: Arc<Shared>,
    sockets: TcpListener,
    mut frames: mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    let (stream, _): (TcpStream, _) = sockets.accept().await?;
    stream.set_nodelay(true)?;
    let (mut sink, mut stream) = tokio_tungstenite::accept_async(stream).await?.split();
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else { return Ok(()) };
                sink.send(Message::Text(frame.into())).await?;
            }
            frame = stream.next() => match frame {
                Some(Ok(Message::Text(key))) => {
                    let body = "y".repeat(BODY_BYTES);
                    let key = key.as_str();
                    let record = BaseRecord::to(&shared.topic_back).key(key).payload(&body);
                    let _ = shared.back.send(record);
                }
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
        }
    }
}

fn client(kafka: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("socket.nagle.disable", "true");
    config
}

fn producer(kafka: &str) -> Result<Kafka> {
    let producer: Kafka = client(kafka)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random")
        .create()?;
    producer.client().fetch_metadata(None, Duration::from_secs(10))?;
    Ok(producer)
}

/// Tails every partition of `topic` on a thread of its own.
fn tail(
    kafka: &str,
    topic: &str,
    stop: &Arc<AtomicBool>,
    mut each: impl FnMut(String) + Send + 'static,
) -> Result<()> {
    let consumer: BaseConsumer = client(kafka)
        .set("group.id", "bench-floor")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition, Offset::End)?;
    }
    consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    consumer.assign(&partitions)?;
    let stop = stop.clone();
    std::thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) {
            let Some(Ok(record)) = consumer.poll(POLL_WITHIN) else { continue };
            if let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) {
                each(key.to_owned());
            }
        }
    });
    // An assignment to the end counts from its first fetch; a try before that would be lost.
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

async fn create_topics(kafka: &str) -> Result<(String, String)> {
    let run = uuid::Uuid::new_v4().simple().to_string();
    let names = [format!("bench-out-{run}"), format!("bench-back-{run}")];
    let admin: AdminClient<_> = client(kafka).create()?;
    let topics: Vec<_> = names
        .iter()
        .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)))
        .collect();
    for outcome in admin.create_topics(&topics, &AdminOptions::new()).await? {
        outcome.map_err(|(topic, error)| anyhow::anyhow!("creating {topic}: {error}"))?;
    }
    // The broker answers before every partition has its leader.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let [out, back] = names;
    Ok((out, back))
}
