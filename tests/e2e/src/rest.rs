//! An app with a token, and what it was answered.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

use crate::{Stream, eventually};

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A header that must be there.
    pub fn must(&self, name: &str) -> String {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    /// The last part of a problem's `type`.
    pub fn problem(&self) -> &str {
        let problem = self.body["type"].as_str().unwrap_or_default();
        problem.rsplit('/').next().unwrap_or_default()
    }

    /// The body's member as text.
    pub fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}")).to_owned()
    }

    /// The answer, which must have this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The answer, which must be this problem.
    pub fn expect_problem(self, status: u16, problem: &str) -> Self {
        assert_eq!((self.status, self.problem()), (status, problem), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        self
    }

    /// `items` of a list.
    pub fn items(&self) -> Vec<Value> {
        self.body["items"].as_array().unwrap_or_else(|| panic!("no items in {self:?}")).clone()
    }
}

/// An app.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Rest {
    pub fn new(base: &str, token: Option<String>) -> Self {
        Self { http: reqwest::Client::new(), base: base.to_owned(), token }
    }

    /// The same app with another token, or none.
    pub fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }

    /// The same app at another gateway.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, None).await
    }

    /// A live stream, after the event `last` where one is named; a connection that breaks off at
    /// once is tried again.
    pub async fn stream(&self, path: &str, last: Option<&str>) -> Stream {
        eventually(&format!("a stream of {path}"), || async {
            let mut request = self.http.get(format!("{}{path}", self.base));
            request = request.header("accept", "text/event-stream");
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            if let Some(last) = last {
                request = request.header("last-event-id", last);
            }
            let response = request.send().await.ok()?;
            (response.status().as_u16() == 200).then(|| Stream::new(response))
        })
        .await
    }

    /// A write under a fresh key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    /// A write with headers; a fresh key where none is among them.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        self.write(Method::POST, path, headers, body).await
    }

    pub async fn patch(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        self.write(Method::PATCH, path, headers, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let key = Uuid::new_v4().to_string();
        let mut all = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "idempotency-key") {
            all.push(("idempotency-key", &key));
        }
        all.push(("content-type", "application/json"));
        self.send(method, path, &all, Some(body.to_string())).await
    }

    /// Any request at all, for those that must be refused. A dropped connection is tried again, as
    /// an app would: roles are killed in some tests.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        eventually(&format!("an answer to {method} {path}"), || async {
            self.send_once(method.clone(), path, headers, body.clone()).await.ok()
        })
        .await
    }

    /// One try; an error where the connection broke.
    pub async fn send_once(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, headers, body })
    }

    /// A record that must come to the read model.
    pub async fn record(&self, path: &str) -> Answer {
        eventually(path, || async {
            let answer = self.get(path).await;
            (answer.status == 200).then_some(answer)
        })
        .await
    }

    /// The final state of a tracked request.
    pub async fn settled(&self, location: &str) -> Answer {
        eventually(&format!("the end of {location}"), || async {
            let answer = self.get(location).await;
            let open = ["accepted", "delivered", "overdue"];
            let state = answer.body["state"].as_str()?.to_owned();
            (answer.status == 200 && !open.contains(&state.as_str())).then_some(answer)
        })
        .await
    }
}
