//! One trace from the app's call to the clinic and back, and one of its own for what the desk did:
//! collected as any collector does, and followed step by step.

use serde_json::json;
use tests_e2e::{Collector, Net, Span, Unit, eventually};
use uuid::Uuid;

const BOOKED: &str = "scheduling.appointment_booked";
const DONE: &str = "requests.request_done";
/// The step of a caller who traces too.
const CALLER: &str = "00f067aa0ba902b7";
/// What a step may say.
const FIELDS: [&str; 12] = [
    "arteria.unit",
    "arteria.request",
    "arteria.request_type",
    "arteria.fact_type",
    "arteria.seq",
    "arteria.state",
    "arteria.domain",
    "arteria.place",
    "messaging.destination.name",
    "http.request.method",
    "http.route",
    "http.response.status_code",
];

struct Traced {
    net: Net,
    unit: Unit,
    collector: Collector,
}

async fn traced(name: &str) -> Traced {
    let collector = Collector::start().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let net = Net::own_with(name, &settings).await;
    let mut unit = Unit::prepare(&net, name, 20).await;
    // An agent is told by its own file; it may run where nobody sets a variable.
    let file = unit.dir.join("agent.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str(&format!("\n[traces]\nendpoint = \"{}\"\n", collector.url));
    std::fs::write(&file, text).unwrap();
    unit.connect().await;
    unit.wait_seeded().await;
    Traced { net, unit, collector }
}

impl Traced {
    /// The only step of a trace that has this name and says this, once it has come.
    async fn step(&self, trace: &str, name: &str, says: &[(&str, &str)]) -> Span {
        let what = format!("step {name} {says:?} of trace {trace}");
        eventually(&what, || async {
            let found: Vec<Span> = self
                .collector
                .of(trace)
                .into_iter()
                .filter(|span| span.name == name)
                .filter(|span| says.iter().all(|(field, value)| span.says(field) == *value))
                .collect();
            assert!(found.len() < 2, "{what}: {found:#?}");
            found.into_iter().next()
        })
        .await
    }

    /// The fact's way from the agent's step into every read model that reads it.
    async fn follow_fact(&self, from: &Span, fact_type: &str, domains: [&str; 2]) {
        let of = [("arteria.fact_type", fact_type)];
        let published = self.step(&from.trace, "fact publish", &of).await;
        assert_eq!((&published.parent, published.service.as_str()), (&from.id, "arteria-edge"));
        assert!(published.says("arteria.place").contains('/'));
        for domain in domains {
            let of = [("arteria.fact_type", fact_type), ("arteria.domain", domain)];
            let applied = self.step(&from.trace, "projector apply", &of).await;
            assert_eq!(applied.parent, published.id, "{domain}");
            assert_eq!(applied.service, "arteria-projector");
            assert_eq!(applied.says("arteria.seq"), published.says("arteria.seq"));
            assert!(applied.took_ns > 0);
        }
    }
}

#[tokio::test]
async fn a_booking_is_one_trace_from_rest_to_the_clinic_and_back() {
    let it = traced("tracing").await;
    let slot = it.unit.slots(1).await.remove(0);
    let trace = Uuid::new_v4().simple().to_string();
    let parent = format!("00-{trace}-{CALLER}-01");
    let headers = [("traceparent", parent.as_str())];
    let body = it.unit.booking(&slot);
    let answer = it.unit.rest.post_with(&it.unit.path("appointments"), &headers, body).await;
    let request = answer.expect(201).must("arteria-request");

    let call = it.step(&trace, "POST /v1/units/{unit}/appointments", &[]).await;
    assert_eq!((call.parent.as_str(), call.service.as_str()), (CALLER, "arteria-gateway"));
    assert_eq!(call.says("http.response.status_code"), "201");
    let asked = it.step(&trace, "request publish", &[]).await;
    assert_eq!(asked.parent, call.id);
    assert_eq!(asked.says("arteria.request"), request);
    let delivered = it.step(&trace, "edge deliver", &[]).await;
    assert_eq!((&delivered.parent, delivered.service.as_str()), (&asked.id, "arteria-edge"));
    let applied = it.step(&trace, "agent apply", &[]).await;
    assert_eq!((&applied.parent, applied.service.as_str()), (&delivered.id, "arteria-agent"));
    assert_eq!(applied.says("arteria.state"), "done");
    assert_eq!(applied.says("arteria.unit"), it.unit.id.as_str());
    let replied = it.step(&trace, "reply publish", &[]).await;
    assert_eq!((&replied.parent, replied.service.as_str()), (&applied.id, "arteria-edge"));
    it.follow_fact(&applied, BOOKED, ["scheduling", "timeline"]).await;
    it.follow_fact(&applied, DONE, ["requests", "timeline"]).await;
    for step in it.collector.of(&trace) {
        let strange: Vec<_> =
            step.attributes.keys().filter(|key| !FIELDS.contains(&key.as_str())).collect();
        assert!(strange.is_empty(), "{}: {strange:?}", step.name);
    }
}

#[tokio::test]
async fn a_desk_change_is_a_trace_of_its_own_and_a_live_question_one_of_its_caller() {
    let it = traced("tracedesk").await;
    let trace = Uuid::new_v4().simple().to_string();
    let parent = format!("00-{trace}-{CALLER}-01");
    let slot = it.unit.slots(1).await.remove(0);
    let query = format!(
        "slots?practitioner_id={}&from={}&to={}",
        slot.practitioner_id, slot.starts_at, slot.ends_at
    );
    let headers = [("traceparent", parent.as_str())];
    it.unit.rest.get_with(&it.unit.path(&query), &headers).await.expect(200);
    let asked = it.step(&trace, "request publish", &[]).await;
    let delivered = it.step(&trace, "edge deliver", &[]).await;
    assert_eq!(delivered.parent, asked.id);
    let answered = it.step(&trace, "agent answer", &[]).await;
    assert_eq!(answered.parent, delivered.id);
    assert_eq!(it.step(&trace, "reply publish", &[]).await.parent, answered.id);

    let id = it.unit.desk_takes(&slot);
    it.unit.rest.record(&it.unit.path(&format!("appointments/{id}"))).await;
    let captured = eventually("the desk's own trace", || async {
        it.collector
            .all()
            .into_iter()
            .find(|span| span.name == "agent capture" && span.says("arteria.fact_type") == BOOKED)
    })
    .await;
    assert_eq!((captured.parent.as_str(), captured.service.as_str()), ("", "arteria-agent"));
    it.follow_fact(&captured, BOOKED, ["scheduling", "timeline"]).await;
    drop(it.net);
}

#[tokio::test]
async fn a_traceparent_that_does_not_read_is_ignored_and_a_trace_begins_anew() {
    let it = traced("tracebad").await;
    let huge = "0".repeat(8_000);
    for (n, bad) in ["00-zz-1-01", "", huge.as_str()].into_iter().enumerate() {
        let patient = json!({
            "family_name": "Trace", "given_name": format!("Number{n}"),
            "birth_date": "1980-01-01", "sex": "female",
        });
        let path = it.unit.path("patients");
        let answer = it.unit.rest.post_with(&path, &[("traceparent", bad)], patient).await;
        let request = answer.expect(201).must("arteria-request");
        let asked = eventually("the request's step", || async {
            it.collector.all().into_iter().find(|span| {
                span.name == "request publish" && span.says("arteria.request") == request
            })
        })
        .await;
        let call = it.step(&asked.trace, "POST /v1/units/{unit}/patients", &[]).await;
        assert_eq!((call.parent.as_str(), &asked.parent), ("", &call.id));
        // The whole date: four digits alone occur by chance in ids and in nanoseconds.
        let text = format!("{:?}", it.collector.of(&asked.trace));
        assert!(!text.contains("Trace") && !text.contains("1980-01-01"), "{text}");
    }
}
