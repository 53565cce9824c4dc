//! Bookings through REST, as an app makes them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::figures::Figures;

/// How long each booking is; short ones, so that one clinic's hours hold thousands.
const BOOKING_MINUTES: i64 = 5;
/// The first day of bookings, from today: beyond the diary that a seeded clinic has.
const FIRST_DAY: i64 = 40;
/// The days that one query for free slots may span.
const DAYS_A_QUERY: i64 = 28;
/// How far ahead free slots are looked for before giving up.
const LAST_DAY: i64 = 400;

/// An app with enough free intervals at hand.
pub struct Bookings {
    http: reqwest::Client,
    base: String,
    token: String,
    unit: String,
    patient_id: String,
    free: Vec<(String, DateTime<Utc>)>,
    run: String,
}

impl Bookings {
    /// Finds a patient and `wanted` free intervals in `unit`.
    pub async fn prepare(gateway: &str, token: &str, unit: &str, wanted: usize) -> Result<Self> {
        let mut app = Self {
            http: reqwest::Client::builder().tcp_nodelay(true).build()?,
            base: gateway.to_owned(),
            token: token.to_owned(),
            unit: unit.to_owned(),
            patient_id: String::new(),
            free: Vec::new(),
            run: uuid::Uuid::new_v4().simple().to_string(),
        };
        let patients = app.items(&format!("/v1/units/{unit}/patients?limit=1")).await?;
        let patient = patients.first().context("the unit has no patient")?;
        app.patient_id = text(patient, "patient_id")?;
        let practitioners = app.items(&format!("/v1/units/{unit}/practitioners?limit=200")).await?;
        let mut day = FIRST_DAY;
        while app.free.len() < wanted {
            ensure!(day < LAST_DAY, "only {} free intervals of {wanted}", app.free.len());
            for practitioner in &practitioners {
                app.find_free(&text(practitioner, "practitioner_id")?, day).await?;
            }
            day += DAYS_A_QUERY;
        }
        // Spread over the weeks and practitioners as people's bookings are, not one day filled up.
        let stride = app.free.len() / wanted;
        app.free = app.free.into_iter().step_by(stride).collect();
        Ok(app)
    }

    /// Books `tries` intervals, `in_flight` at a time.
    pub async fn measure(&mut self, tries: usize, in_flight: usize) -> Result<Figures> {
        ensure!(self.free.len() >= tries, "no free interval is left");
        let intervals = self.free.split_off(self.free.len() - tries);
        let bookings = futures_util::stream::iter(intervals).map(|interval| self.book(interval));
        bookings.buffer_unordered(in_flight).try_collect().await
    }

    async fn book(
        &self,
        (practitioner_id, starts_at): (String, DateTime<Utc>),
    ) -> Result<Duration> {
        let body = json!({
            "patient_id": self.patient_id,
            "practitioner_id": practitioner_id,
            "starts_at": rfc3339(starts_at),
            "ends_at": rfc3339(starts_at + TimeDelta::minutes(BOOKING_MINUTES)),
            "reason": "bench",
        });
        let key = format!("{}-{practitioner_id}-{}", self.run, starts_at.timestamp());
        let begun = Instant::now();
        let answer = self
            .http
            .post(format!("{}/v1/units/{}/appointments", self.base, self.unit))
            .bearer_auth(&self.token)
            .header("idempotency-key", key)
            .json(&body)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        let elapsed = begun.elapsed();
        ensure!(status.as_u16() == 201, "a booking was answered {status}: {text}");
        Ok(elapsed)
    }

    async fn find_free(&mut self, practitioner_id: &str, day: i64) -> Result<()> {
        let now = kit_clock::Clock::system().now().to_utc();
        let from = now + TimeDelta::days(day);
        let path = format!(
            "/v1/units/{}/slots?practitioner_id={practitioner_id}&from={}&to={}",
            self.unit,
            rfc3339(from),
            rfc3339(from + TimeDelta::days(DAYS_A_QUERY))
        );
        for slot in self.items(&path).await? {
            let mut starts_at: DateTime<Utc> = text(&slot, "starts_at")?.parse()?;
            let ends_at: DateTime<Utc> = text(&slot, "ends_at")?.parse()?;
            while starts_at + TimeDelta::minutes(BOOKING_MINUTES) <= ends_at {
                self.free.push((practitioner_id.to_owned(), starts_at));
                starts_at += TimeDelta::minutes(BOOKING_MINUTES);
            }
        }
        Ok(())
    }

    async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .timeout(Duration::from_secs(35))
            .send()
            .await?;
        let status = answer.status();
        ensure!(status.is_success(), "{path} was answered {status}");
        let body: Value = answer.json().await?;
        Ok(body["items"].as_array().cloned().unwrap_or_default())
    }
}

fn text(record: &Value, member: &str) -> Result<String> {
    record[member].as_str().map(str::to_owned).with_context(|| format!("a record without {member}"))
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
