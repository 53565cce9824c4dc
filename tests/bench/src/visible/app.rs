//! The app that waits for a record.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::desks::Committed;
use crate::figures::Figures;
use crate::place::Place;

/// Between two tries: what the app adds to a figure at most, on average half of it.
const AGAIN_AFTER: Duration = Duration::from_millis(2);
/// A record that is not there after this is lost, and so is an answer.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct App {
    http: reqwest::Client,
    gateway: String,
}

impl App {
    pub fn new(place: &Place) -> Result<Self> {
        let http = reqwest::Client::builder().tcp_nodelay(true).timeout(SEEN_WITHIN).build()?;
        Ok(Self { http, gateway: place.gateway.clone() })
    }

    /// How long after its commit the record was answered.
    pub async fn sees(&self, committed: Committed) -> Result<Duration> {
        let Committed { unit, token, patient_id, at } = committed;
        let url = format!("{}/v1/units/{unit}/patients/{patient_id}", self.gateway);
        loop {
            let answer = self.http.get(&url).bearer_auth(&token).send().await?;
            let status = answer.status().as_u16();
            answer.bytes().await?;
            match status {
                200 => return Ok(at.elapsed()),
                404 => ensure!(at.elapsed() < SEEN_WITHIN, "{patient_id} never came to be seen"),
                _ => bail!("a read was answered {status}"),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// The same for whatever is told, each at once, until all desks are closed.
    pub async fn sees_all(&self, mut told: Receiver<Committed>) -> Result<Figures> {
        let (mut figures, mut waiting) = (Figures::default(), JoinSet::new());
        while let Some(committed) = told.recv().await {
            let app = self.clone();
            waiting.spawn(async move { app.sees(committed).await });
            while let Some(seen) = waiting.try_join_next() {
                figures.push(seen??);
            }
        }
        while let Some(seen) = waiting.join_next().await {
            figures.push(seen??);
        }
        Ok(figures)
    }
}
