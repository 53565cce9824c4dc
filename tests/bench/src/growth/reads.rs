//! The reads that people make, the same after each wave, over all clinics loaded so far.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::clinics::Clinic;
use crate::figures::Figures;
use crate::place::Place;

/// Patients remembered of each clinic; reads are spread over all of them.
const REMEMBERED: usize = 5;
/// Unmeasured reads of each kind, so that connections stand and plans are cached.
const WARM_UP: usize = 10;

/// What was measured after one wave.
pub struct Measured {
    pub patient: Figures,
    /// A page that nobody asked for since the last wave at least: what is not in memory is fetched.
    pub name: Figures,
    /// The same page once more.
    pub name_again: Figures,
    pub events: Figures,
}

/// An app that knows a few patients of every clinic.
pub struct Reads {
    http: reqwest::Client,
    gateway: String,
    known: Vec<Known>,
    turn: usize,
}

struct Known {
    unit: String,
    token: String,
    patient_id: String,
    prefix: String,
}

impl Reads {
    pub fn new(place: &Place) -> Result<Self> {
        let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
        Ok(Self { http, gateway: place.gateway.clone(), known: Vec::new(), turn: 0 })
    }

    /// Remembers a few patients of each new clinic.
    pub fn learn(&mut self, clinics: &[Clinic]) -> Result<()> {
        for clinic in clinics {
            let path = clinic.dir.join(practice::CLINIC_DB);
            let database = rusqlite::Connection::open(path)?;
            let mut some = database.prepare(
                "SELECT patient_id, substr(family_name, 1, 4) FROM patients
                 ORDER BY patient_id LIMIT ?1",
            )?;
            let limit = i64::try_from(REMEMBERED)?;
            let found = some.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in found {
                let (patient_id, prefix): (String, String) = row?;
                let (unit, token) = (clinic.unit.clone(), clinic.token.clone());
                self.known.push(Known { unit, token, patient_id, prefix });
            }
        }
        Ok(())
    }

    /// Makes `count` reads of each kind, one in flight.
    pub async fn measure(&mut self, count: usize) -> Result<Measured> {
        let by_id = |k: &Known| (format!("/v1/units/{}/patients/{}", k.unit, k.patient_id), None);
        let by_name = |k: &Known| {
            let name = Some(k.prefix.clone());
            (format!("/v1/units/{}/patients", k.unit), name)
        };
        let events = |k: &Known| (format!("/v1/units/{}/events?limit=20", k.unit), None);
        let (patient, _) = self.series(count, by_id).await?;
        let (name, name_again) = self.series(count, by_name).await?;
        let (events, _) = self.series(count, events).await?;
        Ok(Measured { patient, name, name_again, events })
    }

    /// Each read twice, one after the other: as it meets the machine, and with all at hand.
    async fn series(
        &mut self,
        count: usize,
        path: impl Fn(&Known) -> (String, Option<String>),
    ) -> Result<(Figures, Figures)> {
        let (mut first, mut again) = (Figures::default(), Figures::default());
        for n in 0..count + WARM_UP {
            // A stride without a common factor visits clinics far apart, as people do.
            self.turn = (self.turn + 7_919) % self.known.len();
            let known = &self.known[self.turn];
            let (path, name) = path(known);
            let mut url = reqwest::Url::parse(&format!("{}{path}", self.gateway))?;
            if let Some(name) = name {
                url.query_pairs_mut().append_pair("name", &name).append_pair("limit", "20");
            }
            for figures in [&mut first, &mut again] {
                let took = read(&self.http, &url, &known.token).await?;
                if n >= WARM_UP {
                    figures.push(took);
                }
            }
        }
        Ok((first, again))
    }
}

async fn read(http: &reqwest::Client, url: &reqwest::Url, token: &str) -> Result<Duration> {
    let begun = Instant::now();
    let answer = http.get(url.clone()).bearer_auth(token).send().await?;
    let status = answer.status();
    answer.bytes().await?;
    ensure!(status.is_success(), "a read was answered {status}");
    Ok(begun.elapsed())
}
