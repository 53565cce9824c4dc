//! The flow test: the whole path of a request and of a fact in one process, under any weather.
//!
//! A real `clinic.db` and the agent's real clinic thread stand at one end, the reader rules of the
//! read models at the other. What lies between in production (sockets, an edge, Kafka, Postgres) is
//! played here by two vectors and a map, so that a seed decides when a link breaks, when the power
//! goes, which record is lost and which comes twice, and a day passes in half a second. The
//! bodies are carried through the same derived Avro schemas as on the log.
//!
//! Nothing here judges with the agent's own eyes. The rows are read by `practice`, which shares no
//! reader with the agent; whether a booking may stand is replayed from the facts alone; and the log
//! checks each frame against the words of `proto-schemas/unit.v1.md`. The crate must never know a
//! socket, a broker or a database server, nor reach behind what the agent's crate shows to all.
//!
//! | module | what it holds |
//! |---|---|
//! | [`weather`] | how often everything goes wrong, and the chance behind it |
//! | [`clinic`] | the folder, the desk, the agent's clinic thread |
//! | [`log`] | the log of requests, and the log of facts |
//! | [`carrier`] | bodies to Avro and back |
//! | [`edge`] | the edge between the logs and the agent: one link after the other |
//! | [`reader`] | a read model in memory behind the reader rules |
//! | [`mischief`] | what a desk does beside a plain day |
//! | [`commands`] | random commands |
//! | [`day`] | the steps of a day |
//! | [`history`] | what the facts say of each decision |
//! | [`till`] | what the facts say of money |
//! | [`verdict`] | what must hold at the end |

pub mod carrier;
pub mod clinic;
pub mod commands;
pub mod day;
pub mod edge;
pub mod history;
pub mod log;
pub mod mischief;
pub mod reader;
pub mod till;
pub mod verdict;
pub mod weather;
