use std::sync::{Arc, Mutex};

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// One exporter for the tests of this process, each of which looks for its own names.
fn kept() -> Kept {
    static KEPT: OnceLock<(Kept, SdkTracerProvider)> = OnceLock::new();
    let (kept, _) = KEPT.get_or_init(|| {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        TRACER.set(provider.tracer("test")).unwrap();
        (kept, provider)
    });
    kept.clone()
}

impl Kept {
    fn named(&self, name: &str) -> SpanData {
        let spans = self.0.lock().unwrap();
        spans.iter().find(|span| span.name == name).cloned().expect("a span of that name")
    }

    fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap().iter().any(|span| span.name == name)
    }
}

#[test]
fn a_step_is_a_child_of_what_it_was_handed() {
    let kept = kept();
    let mut step = Step::begin(Side::Server, "first", Some(PARENT));
    step.says(Field::Unit, "hcu-0001");
    step.counts(Field::Status, 201);
    let next = Step::begin(Side::Producer, "second", step.handed_on().as_deref());
    drop(next);
    drop(step);
    let (first, second) = (kept.named("first"), kept.named("second"));
    assert_eq!(first.span_context.trace_id().to_string(), &PARENT[3..35]);
    assert_eq!(first.parent_span_id.to_string(), &PARENT[36..52]);
    assert_eq!(second.parent_span_id, first.span_context.span_id());
    assert_eq!(second.span_context.trace_id(), first.span_context.trace_id());
    assert_eq!(first.attributes.len(), 2);
}

#[test]
fn a_parent_that_does_not_read_begins_a_new_trace() {
    let kept = kept();
    let huge = "0".repeat(1_000_000);
    for (name, parent) in [("none", None), ("bad", Some("x")), ("huge", Some(huge.as_str()))] {
        let step = Step::begin(Side::Server, name, parent);
        assert!(Traceparent::parse(&step.handed_on().unwrap()).is_some());
        drop(step);
        assert_eq!(kept.named(name).parent_span_id.to_string(), "0".repeat(16));
    }
}

#[test]
fn a_trace_that_nobody_records_is_carried_on_and_not_recorded_here() {
    let kept = kept();
    let quiet = PARENT.replace("-01", "-00");
    let mut step = Step::begin(Side::Consumer, "quiet", Some(&quiet));
    step.says(Field::State, "done");
    let handed = Traceparent::parse(&step.handed_on().unwrap()).unwrap();
    assert!(!handed.sampled);
    assert_eq!(format!("{:032x}", handed.trace), &PARENT[3..35]);
    drop(step);
    assert!(!kept.has("quiet"));
}

#[test]
fn work_that_began_before_is_shown_from_its_beginning() {
    let kept = kept();
    drop(Step::begun_ago(Side::Inside, "long", None, Duration::from_secs(3)));
    let span = kept.named("long");
    let took = span.end_time.duration_since(span.start_time).unwrap();
    assert!(took >= Duration::from_secs(3), "{took:?}");
}

fn read(pairs: &[(&str, &str)]) -> Result<TraceSettings, TelemetryError> {
    TraceSettings::read(|name| {
        pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_standard_variables_turn_traces_on_and_off() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    assert!(!read(&[]).unwrap().is_on);
    assert!(read(&[endpoint]).unwrap().is_on);
    assert!(!read(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap().is_on);
    assert!(!read(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_on);
    assert!(read(&[endpoint, ("OTEL_TRACES_SAMPLER", "always_on")]).unwrap().is_on);
    let off = read(&[]).unwrap().or_endpoint(Some("http://127.0.0.1:4318/"), Some(0.5));
    assert_eq!(off.endpoint.as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
    assert!(off.is_on);
    assert!(read(&[endpoint]).unwrap().or_endpoint(Some("http://else"), None).endpoint.is_none());
}

#[test]
fn a_sampler_or_exporter_that_is_not_there_is_refused() {
    for bad in [
        &[("OTEL_TRACES_SAMPLER", "sometimes")][..],
        &[("OTEL_TRACES_SAMPLER", "traceidratio")],
        &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")],
        &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "NaN")],
    ] {
        assert!(matches!(read(bad), Err(TelemetryError::Sampler)), "{bad:?}");
    }
    let console = read(&[("OTEL_TRACES_EXPORTER", "console")]);
    assert!(matches!(console, Err(TelemetryError::Exporter)));
}
