//! Every number of the edge that the link itself does not name (those stand in `kit_link::limits`).

/// Links of one edge. 10,000 idle links cost 150 MB with TLS; a second edge comes before a second
/// ten thousand.
pub const LINKS_MAX: usize = 20_000;
/// Sockets whose token is not verified yet, on top of [`LINKS_MAX`]. Each may hold an upgrade's
/// head and a HELLO: 60 MB where all are as large as they may be. 2,000 agents a second pass
/// through the pool over links of a second's round trip.
pub const NEWCOMERS_MAX: usize = 2_048;
/// A refused token is answered this long after its HELLO: what is looked up for it, and for how
/// long, tells a stranger nothing.
pub const REFUSED_AFTER_MS: u64 = 250;
/// HELLOs being answered at once. Each may scan the log; more only make all of them slow.
pub const HELLOS_MAX: usize = 256;
/// How long a HELLO waits for its turn before the agent is told to come back.
pub const HELLO_TURN_MS: u64 = 10_000;
/// The pause that an agent is told when the edge has no place, drawn between these two, so that
/// those turned away together do not come back together.
pub const PAUSE_MS_MIN: u64 = 1_000;
/// The longer end of that pause.
pub const PAUSE_MS_MAX: u64 = 5_000;
/// The upgrade must be asked for and answered within this time.
pub const UPGRADE_WITHIN_MS: u64 = 5_000;
/// The largest head of an upgrade request. Proxies add headers; 16 KiB is what most of them allow.
pub const UPGRADE_BYTES_MAX: usize = 16 * 1024;
/// Read buffer of a socket. 128 KiB, the library's default, would cost 130 KB an idle link.
pub const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that may wait inside the socket's writer: one frame of the largest size and its small
/// companions. Without a bound a link that does not read fills the edge's memory.
pub const WRITE_BUFFER_BYTES_MAX: usize = 128 * 1024;
/// Frames that may wait for the socket; above [`OUTBOX_FEED_BELOW`] nothing new is fetched for it,
/// above this nothing more is read from it.
pub const OUTBOX_FRAMES_MAX: usize = 64;
/// Requests go to the outbox only while it is shorter than this, so that a cancel overtakes them.
pub const OUTBOX_FEED_BELOW: usize = 8;
/// A socket that takes no byte for this long while frames wait for it is dead.
pub const WRITE_STALL_MS: u64 = 20_000;
/// After a close frame: how long the edge waits for the agent's end of the close, reading what is
/// still under way. Closing at once would reset the connection, and the agent would not see why.
pub const CLOSE_LINGER_MS: u64 = 2_000;
/// Records of a unit that may wait between the tail and its link; a link that falls further behind
/// is cut off from the tail and reads the log by itself.
pub const LIVE_QUEUE_RECORDS: usize = 64;
/// Live requests that a link holds back while its unit has no credits left; what comes after is
/// read from the log when they return.
pub const HELD_BACK_RECORDS_MAX: usize = 64;
/// Requests that one scan brings; a longer backlog takes several.
pub const SCAN_RECORDS_MAX: usize = 128;
/// Bytes of requests that one scan brings.
pub const SCAN_BYTES_MAX: usize = 1024 * 1024;
/// Cancels and controls that one scan brings.
pub const SCAN_CONTROLS_MAX: usize = 256;
/// Temporary scans at once. Each is a consumer of its own; two cores serve no more than a few.
pub const SCANS_MAX: usize = 8;
/// How long the broker may hold an idle fetch of the tail: a partition that is assigned anew waits
/// for it.
pub const TAIL_FETCH_WAIT_MS: u32 = 50;
/// Records between a reader's thread and the edge.
pub const READER_CHANNEL_RECORDS: usize = 1_024;
/// A partition without a unit stays assigned this long; units that reconnect find it warm.
pub const PARTITION_LINGER_MS: u64 = 30_000;
/// Facts above the durable one, beyond a hole, that are remembered while the hole is looked for.
pub const AHEAD_OF_HOLE_FACTS_MAX: usize = 256;
/// Ranges asked for again that a link remembers. The projector asks for one hole at a time.
pub const ASKED_AGAIN_RANGES_MAX: usize = 16;
/// Facts under way from one link, those asked for again included; above this its socket is not
/// read.
pub const FACTS_UNDER_WAY_MAX: usize = 64;
/// Replies and answers of one link on their way to the log; beyond it they are dropped, and
/// whoever waits learns the outcome from its fact.
pub const REPLIES_UNDER_WAY_MAX: usize = 64;
/// First pause before a fact that could not be sealed is tried again.
pub const SEAL_PAUSE_MS_MIN: u64 = 100;
/// Longest such pause: with the half second for which a miss is kept, a unit goes on within a
/// second or so after its type was registered. The registry is asked once for all units together.
pub const SEAL_PAUSE_MS_MAX: u64 = 700;
/// First pause before something else that waits for the registry is tried again.
pub const REGISTRY_PAUSE_MS_MIN: u64 = 200;
/// Longest such pause; a registry that was away should not be met by everybody at once.
pub const REGISTRY_PAUSE_MS_MAX: u64 = 5_000;
/// How often the lag of the tail is measured: one question to the broker for each partition.
pub const LAG_EVERY_MS: u64 = 5_000;
/// A unit's presence is written at most this often.
pub const PRESENCE_EVERY_MS: u64 = 1_000;
/// A unit's presence is written at least this often, so that it outlives any compaction and the
/// scan for what is durable stays short.
pub const PRESENCE_AT_LEAST_EVERY_MS: u64 = 12 * 3_600 * 1_000;
/// A busy link too is pinged this often, so that the cursor of a unit without requests keeps up,
/// and what its agent tells of its spool is not older.
pub const PING_AT_LEAST_EVERY_MS: u64 = 60_000;
/// A link that begins is pinged after this long, give or take a fifth: not in its first moment,
/// when many links that lost an edge begin together and have their openings to send.
pub const FIRST_PING_AFTER_MS: u64 = 1_000;
/// How long a drain waits for facts under way to be confirmed.
pub const DRAIN_WITHIN_MS: u64 = 2_000;
/// How long a link's end waits until the unit's absence is on the log; after it the unit's edge is
/// found gone by its silence.
pub const AWAY_WITHIN_MS: u64 = 2_500;
/// Facts found wrong are named in an error frame of at most this many characters of detail.
pub const DETAIL_CHARS_MAX: usize = 400;
/// Cancels, controls and queries that may wait to overtake the requests of their unit.
pub const AHEAD_RECORDS_MAX: usize = 2 * SCAN_CONTROLS_MAX;
/// Scans whose consumer is connected at start; the first units to connect need not wait for it.
pub const SCANS_WARM: usize = 2;
/// Connections that a unit may make at once, and then in each second. A link that flaps backs off
/// long before.
pub const HELLOS_BURST: u32 = 30;
/// See [`HELLOS_BURST`].
pub const HELLOS_PER_SECOND: u32 = 1;
/// Connections beyond its budget that are counted against a unit, and so the longest pause that it
/// is told, in seconds.
pub const HELLO_DEBT_MAX: u32 = 60;
/// Frames that are read from a unit at once, and then in each second. A clinic that comes back with
/// a day's work sends some 3,000 facts a second.
pub const UP_FRAMES_BURST: u32 = 50_000;
/// See [`UP_FRAMES_BURST`].
pub const UP_FRAMES_PER_SECOND: u32 = 5_000;
/// Bytes of frames that are read from a unit at once, and then in each second.
pub const UP_BYTES_BURST: u32 = 64 * 1024 * 1024;
/// See [`UP_BYTES_BURST`].
pub const UP_BYTES_PER_SECOND: u32 = 8 * 1024 * 1024;
/// Records of the log of requests that are looked through for a unit at once, and then in each
/// second: a whole partition for one that was away, not one after another for one that asks anew.
pub const SCANNED_BURST: u32 = 2_000_000;
/// See [`SCANNED_BURST`].
pub const SCANNED_PER_SECOND: u32 = 50_000;
/// Budgets of units that are remembered without a look at which of them still say something.
pub const BUDGETS_KEPT_MAX: usize = 2 * LINKS_MAX;
/// Requests, queries and cancels of a link whose outcome or answer is still awaited. Sixteen
/// requests are under way at once, and an agent answers what it was asked soon after; what was
/// asked before so many others is not awaited any more.
pub const ASKED_MAX: usize = 256;
/// Records that one scan looks through before others have their turn.
pub const SCAN_PASSED_RECORDS_MAX: i64 = 20_000;
/// Records of facts that are scanned for one unit alone; where more may have to be read, one pass
/// learns all units of the partition.
pub const SCAN_FACTS_MAX: i64 = 20_000;
/// Partitions of facts that are passed over at once, beside all other scans.
pub const PASSES_MAX: usize = 2;
/// Records that a pass reads before another partition has its turn.
pub const LEARN_SLICE_RECORDS: i64 = 50_000;
/// How long a HELLO waits for a pass before its agent is told to come back; agents give up after a
/// minute, and the pass goes on without them.
pub const LEARN_WITHIN_MS: u64 = 20_000;
/// The pause that such an agent is told: a millisecond for each hundred records that are left to
/// read, at least the first of these and at most the second.
pub const LEARN_PAUSE_MS_MIN: i64 = 2_000;
/// See [`LEARN_PAUSE_MS_MIN`].
pub const LEARN_PAUSE_MS_MAX: i64 = 30_000;
/// From how far on a machine's clock is said to be wrong.
pub const CLOCK_OFF_MS_ALARM: i64 = 5_000;
/// How long an edge that starts waits to be told the time by its broker, before it goes by its own.
pub const FIRST_LIVENESS_WITHIN_MS: u64 = 5_000;
/// Steps of the network's time below this are the way that an answer took, and are not made.
pub const CLOCK_STEP_MS_MIN: i64 = 200;
/// How long a link that a newer connection took over waits to receive whether that one came to
/// stand: its second presence, a second after its WELCOME, says so.
pub const TAKEOVER_WITHIN_MS: u64 = 4_000;
/// How long the broker may hold an idle fetch of presence. A record ends it at once, and no
/// partition is assigned later; but an edge that starts receives of a partition's end only when a
/// fetch ends.
pub const PRESENCE_FETCH_WAIT_MS: u32 = 200;
/// A fact's frame above `FRAME_BYTES_MAX` is read up to this size, to withhold the fact under its
/// number; a larger one ends the link unread. What a link may hold is bounded by it.
pub const OVERSIZE_BYTES_MAX: usize = 4 * kit_link::limits::FRAME_BYTES_MAX;
/// Bytes that are put aside of a frame whose body does not read. Escaped they must fit a record.
pub const KEPT_TEXT_BYTES_MAX: usize = 128 * 1024;
/// The longest subject of a fact. Ours are a word and a UUID.
pub const SUBJECT_BYTES_MAX: usize = 256;
