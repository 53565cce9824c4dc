//! The public topics as an AsyncAPI 3 document, made of the same structs as their schemas.

use kit_body::derive::{self, DeriveError};
use kit_body::name;
use kit_event::{Domain, SchemaSource};

use crate::yaml::{Tree, leaf, map};

/// Which Avro the schemas are written in, as AsyncAPI names it.
const AVRO: &str = "application/vnd.apache.avro;version=1.9.0";
/// Of the bindings to Kafka.
const BINDING: &str = "0.5.0";
/// Partitions of every topic where nothing else is set.
const PARTITIONS: i32 = kit_bus::config::PARTITIONS;

const DESCRIPTION: &str = "\
What happened in every healthcare unit, minimised, for analysts and integrators.\n\n\
One topic for each domain; each holds several types of events, told apart by the header `ce_type`. \
The key is the unit; a unit has one partition, the same in every topic, and its events are in the \
order of its own numbers (`ce_unitepoch`, `ce_unitseq`). No event is left out. None comes twice, \
but for a fail-over between two publishers, and then under the same `ce_id`.\n\n\
Every event holds the full public state, after it, of the thing that it is about. A type that ends \
in `_snapshot` states a thing anew, as a new epoch found it: nothing has happened to it.\n\n\
Nothing here names a person: ids are opaque, and there are no names, contact data, record numbers, \
addresses, dates of birth or texts that a person typed freely.";

/// The document's text.
///
/// # Errors
/// A struct from which no Avro schema follows.
pub fn document() -> Result<String, DeriveError> {
    let mut channels = Vec::new();
    let mut operations = Vec::new();
    let mut messages = Vec::new();
    for domain in all_domains::ALL {
        let sources = domain.public_schemas();
        let channel = format!("domain.{}", domain.name());
        channels.push((channel.clone(), self::channel(domain, &sources)));
        operations.push((format!("tell_{}", domain.name()), operation(&channel, domain.name())));
        for source in &sources {
            messages.push((type_of(source).to_owned(), message(source)?));
        }
    }
    channels.push(("domain.other".to_owned(), other_channel()));
    operations.push(("tell_other".to_owned(), operation("domain.other", "any other type")));
    messages.push(("other".to_owned(), other_message()));
    let document = map([
        ("asyncapi", leaf("3.0.0")),
        ("info", info()),
        ("defaultContentType", leaf("application/avro")),
        ("servers", map([("development", server())])),
        ("channels", Tree::Map(channels)),
        ("operations", Tree::Map(operations)),
        (
            "components",
            map([
                ("messages", Tree::Map(messages)),
                ("messageTraits", map([("cloudEvent", map([("headers", headers())]))])),
            ]),
        ),
    ]);
    Ok(format!("# Generated from the code (make schemas); never edited.\n{document}"))
}

/// The type of the fact that a public schema is the form of.
fn type_of(source: &SchemaSource) -> &'static str {
    source.type_name.strip_prefix("public.").unwrap_or(source.type_name)
}

fn info() -> Tree {
    map([
        ("title", leaf("Arteria: public events")),
        ("version", leaf("1.0.0")),
        ("description", leaf(DESCRIPTION)),
        ("license", map([("name", leaf("Apache-2.0"))])),
    ])
}

fn server() -> Tree {
    map([
        ("host", leaf("127.0.0.1:9092")),
        ("protocol", leaf("kafka")),
        ("description", leaf("The local network of `make up`, and its schema registry.")),
        (
            "bindings",
            map([(
                "kafka",
                map([
                    ("schemaRegistryUrl", leaf("http://127.0.0.1:8085/apis/ccompat/v7")),
                    ("schemaRegistryVendor", leaf("confluent")),
                    ("bindingVersion", leaf(BINDING)),
                ]),
            )]),
        ),
    ])
}

fn reference(to: String) -> Tree {
    map([("$ref", leaf(to))])
}

fn channel(domain: &dyn Domain, sources: &[SchemaSource]) -> Tree {
    let address = format!("domain.{}", domain.name());
    let description =
        format!("Public events of the domain `{}`, of all units; key: the unit.", domain.name());
    let messages = sources.iter().map(|source| {
        let of_type = type_of(source);
        (of_type, reference(format!("#/components/messages/{of_type}")))
    });
    map([
        ("address", leaf(address.clone())),
        ("title", leaf(address.clone())),
        ("description", leaf(description)),
        ("messages", map(messages)),
        ("bindings", topic_binding(Some(&address))),
    ])
}

fn topic_binding(topic: Option<&str>) -> Tree {
    let topic = topic.map(|topic| ("topic", leaf(topic)));
    let rest = [
        ("partitions", leaf(PARTITIONS)),
        ("topicConfiguration", map([("cleanup.policy", Tree::List(vec![leaf("delete")]))])),
        ("bindingVersion", leaf(BINDING)),
    ];
    map([("kafka", map(topic.into_iter().chain(rest)))])
}

fn other_channel() -> Tree {
    let parameter = "First part of the type, as `voip` of `voip.call_ended`.";
    let description = "Events of types that only a schema describes: rows of a clinic's own \
        tables. They hold the fields that the registered schema marks with \
        `\"arteria.public\": true`. The topic is there from the first event on.";
    map([
        ("address", leaf("domain.{namespace}")),
        ("title", leaf("domain.<namespace>")),
        ("description", leaf(description)),
        ("parameters", map([("namespace", map([("description", leaf(parameter))]))])),
        ("messages", map([("other", reference("#/components/messages/other".to_owned()))])),
        ("bindings", topic_binding(None)),
    ])
}

fn operation(channel: &str, what: &str) -> Tree {
    map([
        ("action", leaf("send")),
        ("summary", leaf(format!("Arteria tells events of {what}; you receive them."))),
        ("channel", reference(format!("#/channels/{channel}"))),
    ])
}

fn message(source: &SchemaSource) -> Result<Tree, DeriveError> {
    let text = derive::avsc(source)?;
    // It was written a line above, from structs.
    let schema: Tree = serde_json::from_str(&text).unwrap_or(Tree::Map(Vec::new()));
    let record = name::record_name(source.type_name)?;
    let payload = map([("schemaFormat", leaf(AVRO)), ("schema", schema)]);
    Ok(map([
        ("name", leaf(type_of(source))),
        ("title", leaf(record)),
        ("summary", leaf(source.doc)),
        ("contentType", leaf("application/avro")),
        ("traits", Tree::List(vec![reference("#/components/messageTraits/cloudEvent".to_owned())])),
        ("payload", payload),
        ("bindings", message_binding()),
    ]))
}

fn other_message() -> Tree {
    let summary = "An event of a type that only a schema describes; its record is \
        `arteria.public.<namespace>.<Name>`, found in the schema registry by the id in the value.";
    map([
        ("name", leaf("other")),
        ("title", leaf("arteria.public.<namespace>.<Name>")),
        ("summary", leaf(summary)),
        ("contentType", leaf("application/avro")),
        ("traits", Tree::List(vec![reference("#/components/messageTraits/cloudEvent".to_owned())])),
        ("bindings", message_binding()),
    ])
}

fn message_binding() -> Tree {
    let key = map([
        ("type", leaf("string")),
        ("description", leaf("The unit, as `hcu-0001`.")),
        ("pattern", leaf("^[a-z0-9][a-z0-9-]{0,62}$")),
    ]);
    map([(
        "kafka",
        map([
            ("key", key),
            ("schemaIdLocation", leaf("payload")),
            ("schemaIdPayloadEncoding", leaf("confluent")),
            ("schemaLookupStrategy", leaf("RecordNameStrategy")),
            ("bindingVersion", leaf(BINDING)),
        ]),
    )])
}

/// Name, whether it is always there, its meaning, and an example.
const HEADERS: [(&str, bool, &str, &str); 14] = [
    ("ce_specversion", true, "CloudEvents' version.", "1.0"),
    ("ce_type", true, "The event's type.", "scheduling.appointment_noshow"),
    (
        "ce_id",
        true,
        "Stable id of the event: the same after a fail-over, so it tells a repeat.",
        "5e1f1f0c-2f0e-4f59-9d7c-1a8f0c2f6f11",
    ),
    ("ce_source", true, "The unit that says it.", "/units/hcu-0001"),
    ("ce_time", true, "When the unit wrote it, RFC 3339 in UTC.", "2026-03-01T09:30:00Z"),
    (
        "ce_dataschema",
        true,
        "Record, version and fingerprint (CRC-64-AVRO) of the schema.",
        "urn:arteria:schema:arteria.public.scheduling.AppointmentNoshow:1:00ff00ff00ff00ff",
    ),
    ("content-type", true, "How the value is written.", "application/avro"),
    ("ce_unitepoch", true, "Epoch of the unit's number of this fact.", "1"),
    (
        "ce_unitseq",
        true,
        "The number itself. It grows along a unit, with gaps: other topics and types share it.",
        "4711",
    ),
    (
        "arteria_sourceoffset",
        true,
        "Place in the internal log; it never falls along a partition.",
        "90210",
    ),
    (
        "ce_subject",
        false,
        "The thing that it is about, by its opaque id.",
        "appointment/0c2f6f11-2f0e-4f59-9d7c-5e1f1f0c1a8f",
    ),
    (
        "ce_patientid",
        false,
        "The one patient whom it concerns, opaque.",
        "9d7c1a8f-2f0e-4f59-9d7c-0c2f6f115e1f",
    ),
    (
        "ce_causationid",
        false,
        "The request that caused it, opaque.",
        "hcu-0001.00ff00ff00ff00ff00ff00ff00ff00ff",
    ),
    (
        "traceparent",
        false,
        "W3C trace context of that request.",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
];

fn headers() -> Tree {
    let property = |(name, _, words, example): &(&str, bool, &str, &str)| {
        let described = map([
            ("type", leaf("string")),
            ("description", leaf(*words)),
            ("examples", Tree::List(vec![leaf(*example)])),
        ]);
        ((*name).to_owned(), described)
    };
    let required = HEADERS.iter().filter(|header| header.1).map(|header| leaf(header.0));
    map([
        ("type", leaf("object")),
        ("required", Tree::List(required.collect())),
        ("properties", Tree::Map(HEADERS.iter().map(property).collect())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_type_stands_in_the_document_with_its_fields() {
        let text = document().unwrap();
        for domain in all_domains::ALL {
            for source in domain.public_schemas() {
                let record = name::record_name(source.type_name).unwrap();
                assert!(text.contains(&format!("title: \"{record}\"")), "{record}");
            }
        }
        for field in ["age_band", "postal_area", "starts_at", "total_minor", "arteria_sourceoffset"]
        {
            assert!(text.contains(field), "{field}");
        }
        for field in ["family_name", "phone", "mrn", "birth_date", "address_line", "reference"] {
            assert!(!text.contains(&format!("name: \"{field}\"")), "{field}");
        }
    }
}
