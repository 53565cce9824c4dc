//! Bodies on their way: plain JSON to Avro and back, by the schemas that the domains derive.

use std::collections::HashMap;
use std::sync::OnceLock;

use kit_body::{BodySchema, derive};
use serde_json::Value;

fn schemas() -> &'static HashMap<(&'static str, u32), BodySchema> {
    static SCHEMAS: OnceLock<HashMap<(&'static str, u32), BodySchema>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let sources = all_domains::ALL.iter().flat_map(|domain| domain.schemas());
        sources
            .map(|source| {
                let text = derive::avsc(&source).expect("a struct that can be a body");
                let schema = BodySchema::parse(&text).expect("a schema of ours");
                ((source.type_name, source.version), schema)
            })
            .collect()
    })
}

/// The body as it comes out at the other end, which must be the body that went in.
#[must_use]
pub fn carried(type_name: &str, version: u32, body: &Value) -> Value {
    let schema = schemas().iter().find(|((name, of), _)| *name == type_name && *of == version);
    let Some((_, schema)) = schema else { panic!("{type_name} v{version} has no schema") };
    let bytes = schema.encode(body).unwrap_or_else(|error| panic!("{type_name}: {error}"));
    let out = schema.decode(&bytes).unwrap_or_else(|error| panic!("{type_name}: {error}"));
    assert_eq!(&out, body, "{type_name} v{version} came out as another body");
    out
}
