//! An app: a plain REST client that knows only the public contract.

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// One answer of the gateway.
pub struct Answer {
    pub status: StatusCode,
    pub seq: Option<String>,
    pub location: Option<String>,
    pub body: Value,
}

impl Answer {
    /// A member of the body as text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.body.get(member).and_then(Value::as_str)
    }

    /// The last part of a problem's `type`, as `slot-taken`.
    pub fn problem(&self) -> Option<&str> {
        self.text("type").and_then(|uri| uri.rsplit('/').next())
    }

    /// The body, where the status is the expected one.
    pub fn expect(self, status: u16, what: &str) -> Result<Self> {
        if self.status.as_u16() != status {
            let problem = self.problem().unwrap_or("no problem named").to_owned();
            bail!("{what}: expected {status}, was answered {} ({problem})", self.status);
        }
        Ok(self)
    }
}

/// An app with a token, talking to one gateway.
pub struct App {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl App {
    pub fn new(base: String, token: String) -> Result<Self> {
        Ok(Self { http: reqwest::Client::builder().build()?, base, token })
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// A read that asks for at least `seq`.
    pub async fn get_since(&self, path: &str, seq: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[("arteria-min-seq", seq)], None).await
    }

    /// A write under `key`, with further headers.
    pub async fn post(
        &self,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<Answer> {
        let mut all = vec![("idempotency-key", key)];
        all.extend_from_slice(headers);
        self.send(Method::POST, path, &all, Some(body)).await
    }

    /// A live stream of what comes after `after`.
    pub async fn follow(&self, path: &str, after: &str) -> Result<reqwest::Response> {
        let response = self
            .http
            .get(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("accept", "text/event-stream")
            .header("last-event-id", after)
            .send()
            .await
            .with_context(|| format!("opening the stream {path}"))?;
        if response.status() != StatusCode::OK {
            bail!("the stream {path} was answered {}", response.status());
        }
        Ok(response)
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("calling {path}"))?;
        let status = response.status();
        let header = |name: &str| {
            response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let (seq, location) = (header("arteria-unit-seq"), header("location"));
        let text = response.text().await.with_context(|| format!("reading {path}"))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, seq, location, body })
    }
}
