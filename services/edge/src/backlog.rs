//! One unit's part of a stretch of the log of requests, for the
//! [`DeliveryQueue`](crate::delivery_queue::DeliveryQueue).

use std::sync::Arc;
use std::time::Duration;

use kit_bus::headers::{DELIVERY, EXPIRY_TIME};
use kit_bus::{BusError, RawRecord, ScanError, Scans, Topic};
use kit_event::{Delivery, Timestamp, UnitId};
use kit_link::limits::QUERY_MS_MAX;

use crate::delivery_queue::{Kind, LogRecord, ScanOrder, Window};
use crate::limits::{SCAN_BYTES_MAX, SCAN_CONTROLS_MAX, SCAN_PASSED_RECORDS_MAX, SCAN_RECORDS_MAX};

/// A stretch of the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BacklogError {
    /// The scan could not begin.
    #[error("beginning a scan of requests in partition {partition}")]
    Begin {
        /// Which partition.
        partition: i32,
        /// Why.
        #[source]
        source: BusError,
    },
    /// The scan broke off.
    #[error("scanning requests in partition {partition}")]
    Scan {
        /// Which partition.
        partition: i32,
        /// Why.
        #[source]
        source: ScanError,
    },
}

impl BacklogError {
    /// Whether the place asked for is not on the log.
    #[must_use]
    pub fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Scan { source: ScanError::OutOfRange { .. }, .. })
    }
}

/// What a record is to its unit, by its headers alone.
#[must_use]
pub fn log_record(record: Arc<RawRecord>) -> LogRecord<Arc<RawRecord>> {
    let is_control = record.ce_type().is_some_and(|name| name.starts_with("control."));
    let is_query = record.header(DELIVERY) == Some(Delivery::Query.as_str());
    let kind = match (is_control, is_query) {
        (true, _) => Kind::Control,
        (false, true) => Kind::Query,
        (false, false) => Kind::Command,
    };
    LogRecord { position: record.offset, kind, received_at: None, content: record }
}

/// Whether a query's deadline lies ahead.
#[must_use]
pub fn is_alive(record: &RawRecord, now: Timestamp) -> bool {
    let expires_at = record.header(EXPIRY_TIME).and_then(|text| text.parse::<Timestamp>().ok());
    expires_at.is_some_and(|at| at > now)
}

/// For how long after it was written a query is of use, by the clock of the gateway that wrote it.
#[must_use]
pub fn lifetime(record: &RawRecord) -> Duration {
    let expires_at = record.header(EXPIRY_TIME).and_then(|text| text.parse::<Timestamp>().ok());
    let ms = expires_at.map_or(0, |at| at.unix_ms().saturating_sub(record.timestamp_ms));
    Duration::from_millis(u64::try_from(ms).unwrap_or_default().min(QUERY_MS_MAX))
}

/// Reads what `order` asks for, or as much of it as a link may hold; at most so much that others
/// have their turn ([`SCAN_PASSED_RECORDS_MAX`]).
///
/// # Errors
/// The log could not be read, or does not hold the place any more.
pub async fn read(
    scans: &Scans,
    unit: &UnitId,
    partition: i32,
    order: ScanOrder,
    now: Timestamp,
) -> Result<Window<Arc<RawRecord>>, BacklogError> {
    crate::metrics::SCANS.of(["requests"]).increment(1);
    let to = order.to.min(order.from.saturating_add(SCAN_PASSED_RECORDS_MAX));
    let scan = scans.scan(Topic::Requests, partition, order.from, to).await;
    let mut scan = scan.map_err(|source| BacklogError::Begin { partition, source })?;
    let mut reading = Reading::begin(order);
    while let Some(record) = scan.next().await {
        let record = record.map_err(|source| BacklogError::Scan { partition, source })?;
        let position = record.offset;
        if record.key.as_deref() == Some(unit.as_str()) && !reading.take(Arc::new(record), now) {
            return Ok(reading.window);
        }
        reading.passed(position + 1);
    }
    reading.passed(to);
    Ok(reading.window)
}

struct Reading {
    order: ScanOrder,
    collecting: bool,
    bytes: usize,
    window: Window<Arc<RawRecord>>,
}

impl Reading {
    fn begin(order: ScanOrder) -> Self {
        let (seen_to, in_place_to) = (order.from, order.in_place.then_some(order.from));
        let window = Window { seen_to, in_place_to, ahead: Vec::new(), in_place: Vec::new() };
        Self { order, collecting: order.in_place, bytes: 0, window }
    }

    /// Takes a record of the unit; false when the window is full and the record was not taken.
    fn take(&mut self, record: Arc<RawRecord>, now: Timestamp) -> bool {
        let log_record = log_record(record);
        let ahead = match log_record.kind {
            Kind::Command => false,
            Kind::Control => self.order.ahead,
            Kind::Query => self.order.ahead && is_alive(&log_record.content, now),
        };
        if ahead && self.window.ahead.len() >= SCAN_CONTROLS_MAX {
            return false;
        }
        if log_record.kind != Kind::Query && self.collecting {
            let full =
                self.window.in_place.len() >= SCAN_RECORDS_MAX || self.bytes > SCAN_BYTES_MAX;
            if full && !self.order.ahead {
                return false;
            }
            self.collecting = !full;
            if self.collecting {
                self.bytes += log_record.content.payload.as_ref().map_or(0, Vec::len);
                self.window.in_place.push(log_record.clone());
            }
        }
        if ahead {
            self.window.ahead.push(log_record);
        }
        true
    }

    fn passed(&mut self, next: i64) {
        self.window.seen_to = next;
        if self.collecting {
            self.window.in_place_to = Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, type_name: &str, delivery: &str, expires: &str) -> RawRecord {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        RawRecord {
            topic: Topic::Requests,
            partition: 0,
            offset,
            key: Some("hcu-0001".to_owned()),
            headers: vec![
                header("ce_type", type_name),
                header(DELIVERY, delivery),
                header(EXPIRY_TIME, expires),
            ],
            payload: None,
            timestamp_ms: 0,
        }
    }

    fn read_all(order: ScanOrder, records: Vec<RawRecord>) -> Window<Arc<RawRecord>> {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut reading = Reading::begin(order);
        for record in records {
            let position = record.offset;
            if !reading.take(Arc::new(record), now) {
                return reading.window;
            }
            reading.passed(position + 1);
        }
        reading.passed(order.to);
        reading.window
    }

    #[test]
    fn queries_past_their_deadline_are_dropped_and_have_no_place() {
        let order = ScanOrder { from: 0, to: 3, ahead: true, in_place: true };
        let window = read_all(
            order,
            vec![
                record(0, "scheduling.free_slots", "query", "2026-03-01T11:59:59Z"),
                record(1, "scheduling.free_slots", "query", "2026-03-01T12:00:09Z"),
                record(2, "scheduling.book_appointment", "queue", "2026-03-01T11:00:00Z"),
            ],
        );
        let ahead: Vec<i64> = window.ahead.iter().map(|log_record| log_record.position).collect();
        let in_place: Vec<i64> =
            window.in_place.iter().map(|log_record| log_record.position).collect();
        assert_eq!((ahead, in_place), (vec![1], vec![2]), "a late command is the unit's to refuse");
    }

    #[test]
    fn a_full_window_still_looks_for_cancels_up_to_the_head() {
        let last = SCAN_RECORDS_MAX as i64 + 10;
        let mut records: Vec<RawRecord> =
            (0..last).map(|at| record(at, "scheduling.book_appointment", "queue", "")).collect();
        records.push(record(last, "control.cancel", "queue", ""));
        let order = ScanOrder { from: 0, to: last + 1, ahead: true, in_place: true };
        let window = read_all(order, records.clone());
        assert_eq!(window.seen_to, last + 1);
        assert_eq!(window.in_place_to, Some(SCAN_RECORDS_MAX as i64));
        assert_eq!(window.ahead[0].position, last);
        let order = ScanOrder { ahead: false, ..order };
        assert_eq!(read_all(order, records).in_place_to, Some(SCAN_RECORDS_MAX as i64));
    }
}
