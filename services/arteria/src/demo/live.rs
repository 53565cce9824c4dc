//! An app's end of a live stream (server-sent events): it reads, and waits for one event.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::rest::App;

/// A stream that was opened.
pub struct Live {
    response: reqwest::Response,
    unread: String,
}

impl Live {
    /// Opens the stream at `path`, to hear what comes after `after`.
    pub async fn open(app: &App, path: &str, after: &str) -> Result<Self> {
        Ok(Self { response: app.follow(path, after).await?, unread: String::new() })
    }

    /// Waits for the event numbered `seq`.
    pub async fn wait_for(&mut self, seq: &str, within: Duration) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            while let Some((event, rest)) = self.unread.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let data = data.and_then(|text| serde_json::from_str::<Value>(text).ok());
                let rest = rest.to_owned();
                self.unread = rest;
                if let Some(data) = data.filter(|data| data["seq"] == seq) {
                    return Ok(data);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(chunk) = tokio::time::timeout(left, self.response.chunk()).await else {
                bail!("the stream did not bring {seq}");
            };
            let chunk = chunk?.context("the stream ended")?;
            self.unread.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}
