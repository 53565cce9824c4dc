//! Traces: one line of steps from the app's call to the clinic and back.
//!
//! A step is begun where work crosses a border and handed on as a `traceparent` in a header or a
//! frame, so the next room's step is its child. Nothing is recorded and nothing is sent unless a
//! collector is named by the standard variables of OpenTelemetry; then steps are exported by OTLP
//! over HTTP from a thread of their own, in batches, and dropped where the collector is away: a
//! trace is for looking, never a reason to wait.
//!
//! What a step may say is the closed list [`Field`]: ids, types, states, places.

use std::fmt::Display;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter,
};

use crate::TelemetryError;
use crate::context::Traceparent;

/// How long the last steps may take to leave when a process ends; its drain has 6 s in all.
const FLUSH_WITHIN: Duration = Duration::from_millis(1_500);
/// The path that the standard adds to a base address.
const TRACES_PATH: &str = "/v1/traces";
/// Samplers of the standard that are there.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Where steps go, and how many of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceSettings {
    /// A base address that is no variable's, as an agent's file names it.
    pub endpoint: Option<String>,
    /// The part of new traces that is recorded, where no variable says it.
    pub ratio: Option<f64>,
    is_on: bool,
    names_service: bool,
}

impl TraceSettings {
    /// Reads the standard variables: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `_TRACES_ENDPOINT`) turns
    /// traces on, `OTEL_SDK_DISABLED` and `OTEL_TRACES_EXPORTER=none` off, `OTEL_TRACES_SAMPLER`
    /// and its `_ARG` say how many.
    ///
    /// # Errors
    /// A sampler or exporter that is not there: a slip of the pen would record all or nothing.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        let is_disabled =
            variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let is_exported = match variable("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => true,
            Some("none") => false,
            Some(_) => return Err(TelemetryError::Exporter),
        };
        let sampler = variable("OTEL_TRACES_SAMPLER");
        if sampler.as_deref().is_some_and(|name| !SAMPLERS.contains(&name)) {
            return Err(TelemetryError::Sampler);
        }
        let is_part = |text: String| text.parse().is_ok_and(|part| (0.0..=1.0).contains(&part));
        let wants_part = sampler.is_some_and(|name| name.ends_with("traceidratio"));
        if wants_part && !variable("OTEL_TRACES_SAMPLER_ARG").is_some_and(is_part) {
            return Err(TelemetryError::Sampler);
        }
        let has_endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
            .into_iter()
            .any(|name| variable(name).is_some());
        Ok(Self {
            endpoint: None,
            ratio: None,
            is_on: has_endpoint && is_exported && !is_disabled,
            names_service: variable("OTEL_SERVICE_NAME").is_some(),
        })
    }

    /// Also on where a file names the collector and no variable does.
    #[must_use]
    pub fn or_endpoint(mut self, endpoint: Option<&str>, ratio: Option<f64>) -> Self {
        if !self.is_on
            && let Some(endpoint) = endpoint
        {
            self.endpoint = Some(format!("{}{TRACES_PATH}", endpoint.trim_end_matches('/')));
            self.ratio = ratio;
            self.is_on = true;
        }
        self
    }
}

/// Steps are exported while it lives; its end sends the last ones.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins to export the steps of `service`, where the settings name a collector. It is begun
    /// before a runtime is, because the exporter's client has its own.
    ///
    /// # Errors
    /// The address is none.
    pub fn begin(
        service: &'static str,
        version: &'static str,
        settings: &TraceSettings,
    ) -> Result<Self, TelemetryError> {
        if !settings.is_on {
            return Ok(Self(None));
        }
        let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_http();
        if let Some(endpoint) = &settings.endpoint {
            exporter = exporter.with_endpoint(endpoint.clone());
        }
        let exporter = exporter.build().map_err(|_| TelemetryError::Endpoint)?;
        let mut resource = Resource::builder();
        if !settings.names_service {
            resource = resource.with_service_name(service);
        }
        let version = KeyValue::new("service.version", version);
        let mut provider = SdkTracerProvider::builder()
            .with_resource(resource.with_attribute(version).build())
            .with_batch_exporter(Told { exporter, is_lost: AtomicBool::new(false) });
        if let Some(ratio) = settings.ratio {
            let part = Sampler::TraceIdRatioBased(ratio);
            provider = provider.with_sampler(Sampler::ParentBased(Box::new(part)));
        }
        let provider = provider.build();
        TRACER.set(provider.tracer("arteria")).map_err(|_| TelemetryError::AlreadyStarted)?;
        Ok(Self(Some(provider)))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_WITHIN)
        {
            tracing::warn!(%error, "the last steps of traces were not sent");
        }
    }
}

/// Whether steps are recorded in this process: for who would gather something only for them.
pub fn are_exported() -> bool {
    TRACER.get().is_some()
}

/// An exporter that says once when its collector is lost, and once when it is back.
#[derive(Debug)]
struct Told<E> {
    exporter: E,
    is_lost: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let outcome = self.exporter.export(batch).await;
        let was_lost = self.is_lost.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(_) if !was_lost => {
                tracing::warn!(count, "steps of traces are dropped: the collector takes none");
            }
            Ok(()) if was_lost => tracing::info!("the collector of traces is back"),
            Ok(()) | Err(_) => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Which side of a border a step stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It answers a call.
    Server,
    /// It puts something on the log.
    Producer,
    /// It takes something off the log.
    Consumer,
    /// It works.
    Inside,
}

/// What a step may say of itself. None of them can hold a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The unit's id.
    Unit,
    /// The tracked request's id.
    Request,
    /// `<domain>.<name>` of a request, query or control.
    RequestType,
    /// `<domain>.<thing>_<past>`.
    FactType,
    /// `E-S`.
    Seq,
    /// A state's word.
    State,
    /// A read model's name.
    Domain,
    /// A topic.
    Topic,
    /// `<partition>/<offset>`.
    Place,
    /// An HTTP method.
    Method,
    /// A route's template.
    Route,
    /// An HTTP status.
    Status,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Unit => "arteria.unit",
            Self::Request => "arteria.request",
            Self::RequestType => "arteria.request_type",
            Self::FactType => "arteria.fact_type",
            Self::Seq => "arteria.seq",
            Self::State => "arteria.state",
            Self::Domain => "arteria.domain",
            Self::Topic => "messaging.destination.name",
            Self::Place => "arteria.place",
            Self::Method => "http.request.method",
            Self::Route => "http.route",
            Self::Status => "http.response.status_code",
        }
    }
}

/// One step of a trace, from its beginning until it is dropped. Where nothing is exported it only
/// carries its parent on.
#[derive(Debug, Default)]
pub struct Step {
    span: Option<Box<Span>>,
    inherited: Option<Traceparent>,
}

impl Step {
    /// Begins a step: a child of `parent`, where that reads, else the first of a new trace.
    pub fn begin(side: Side, name: impl Into<StepName>, parent: Option<&str>) -> Self {
        Self::begun_ago(side, name, parent, Duration::ZERO)
    }

    /// As [`Step::begin`], for work that began a while ago.
    pub fn begun_ago(
        side: Side,
        name: impl Into<StepName>,
        parent: Option<&str>,
        ago: Duration,
    ) -> Self {
        let inherited = parent.and_then(Traceparent::parse);
        let span = TRACER.get().map(|tracer| Box::new(span(tracer, side, name, inherited, ago)));
        Self { span, inherited }
    }

    /// No step of its own: it only hands its parent on.
    pub fn carried(parent: Option<&str>) -> Self {
        Self { span: None, inherited: parent.and_then(Traceparent::parse) }
    }

    /// Says something of the step; costs nothing where it is not recorded.
    pub fn says(&mut self, field: Field, value: impl Display) {
        if let Some(span) = self.recorded() {
            span.set_attribute(KeyValue::new(field.name(), value.to_string()));
        }
    }

    /// Says a number.
    pub fn counts(&mut self, field: Field, number: i64) {
        if let Some(span) = self.recorded() {
            span.set_attribute(KeyValue::new(field.name(), number));
        }
    }

    /// The step did not do what it was for. `why` is a word of the code's.
    pub fn failed(&mut self, why: &'static str) {
        if let Some(span) = self.recorded() {
            span.set_status(Status::error(why));
        }
    }

    /// What the next room gets: this step, or its parent where nothing is exported here.
    #[must_use]
    pub fn handed_on(&self) -> Option<String> {
        let own = self.span.as_ref().map(|span| traceparent(span.span_context()));
        own.or(self.inherited).map(|context| context.to_string())
    }

    fn recorded(&mut self) -> Option<&mut Span> {
        self.span.as_deref_mut().filter(|span| span.is_recording())
    }
}

/// A step's name: a fixed word, or a method and a route's template.
pub struct StepName(std::borrow::Cow<'static, str>);

impl From<&'static str> for StepName {
    fn from(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl StepName {
    /// The name of a call. `route` is a template, never an address: that may hold an id.
    #[must_use]
    pub fn of_call(method: &'static str, route: &str) -> Self {
        if are_exported() { Self(format!("{method} {route}").into()) } else { Self(method.into()) }
    }
}

fn span(
    tracer: &SdkTracer,
    side: Side,
    name: impl Into<StepName>,
    parent: Option<Traceparent>,
    ago: Duration,
) -> Span {
    let kind = match side {
        Side::Server => SpanKind::Server,
        Side::Producer => SpanKind::Producer,
        Side::Consumer => SpanKind::Consumer,
        Side::Inside => SpanKind::Internal,
    };
    let mut builder = SpanBuilder::from_name(name.into().0).with_kind(kind);
    if !ago.is_zero()
        && let Some(since) = opentelemetry::time::now().checked_sub(ago)
    {
        builder = builder.with_start_time(since);
    }
    let context = match parent {
        Some(parent) => Context::new().with_remote_span_context(span_context(parent)),
        None => Context::new(),
    };
    tracer.build_with_context(builder, &context)
}

fn span_context(parent: Traceparent) -> SpanContext {
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(parent.trace.into(), parent.span.into(), flags, true, TraceState::default())
}

fn traceparent(context: &SpanContext) -> Traceparent {
    Traceparent {
        trace: u128::from_be_bytes(context.trace_id().to_bytes()),
        span: u64::from_be_bytes(context.span_id().to_bytes()),
        sampled: context.is_sampled(),
    }
}

#[cfg(test)]
mod tests;
