//! A route: method, address, permission, handler, and what the OpenAPI document says of it, in one
//! place. There is no other way to add one, so none can be without a permission.

use axum::Extension;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use kit_policy::Permission;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::App;
use crate::command::{self, CommandDef};

/// The methods that routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// One entry of the table of routes.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its address, with `{names}`.
    pub path: &'static str,
    /// What it asks of the caller.
    pub permission: Permission,
    /// What the OpenAPI document says of it.
    pub doc: Doc,
    /// The command that it submits, where it does.
    pub command: Option<&'static CommandDef>,
    /// What answers.
    pub handler: MethodRouter<App>,
}

impl Route {
    /// A route; the permission stands beside the handler.
    pub fn new<H, T>(
        method: Method,
        path: &'static str,
        permission: Permission,
        handler: H,
        doc: Doc,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let handler = on(method.filter(), handler);
        Self { method, path, permission, doc, command: None, handler }
    }

    /// A route that submits a command.
    pub fn command(
        method: Method,
        path: &'static str,
        permission: Permission,
        def: &'static CommandDef,
        doc: Doc,
    ) -> Self {
        let handler = on(method.filter(), command::handle).layer(Extension(def));
        Self { method, path, permission, doc, command: Some(def), handler }
    }
}

/// A schema under its name in the document.
pub struct NamedSchema {
    /// Its name.
    pub name: String,
    /// What it says.
    pub schema: RefOr<Schema>,
}

/// The schema of a resource.
#[must_use]
pub fn schema_of<T: ToSchema>() -> NamedSchema {
    NamedSchema { name: T::name().into_owned(), schema: T::schema() }
}

/// What an operation gives when all went well.
pub enum Gives {
    /// One record, with ETag and freshness.
    Record(NamedSchema),
    /// How something stands now: no record, so without an ETag.
    State(NamedSchema),
    /// A page of records.
    Page(NamedSchema),
    /// The outcome of a command: the record.
    Outcome {
        /// The record.
        record: NamedSchema,
        /// Whether it is made (201) or changed (200).
        created: bool,
    },
    /// A tracked request.
    Tracked(NamedSchema),
    /// Free slots, from the unit itself.
    Live(NamedSchema),
    /// Something that is no data.
    Document {
        /// Its media type.
        media_type: &'static str,
    },
}

/// One record.
#[must_use]
pub fn record<T: ToSchema>() -> Gives {
    Gives::Record(schema_of::<T>())
}

/// The outcome of a command that leaves a record.
#[must_use]
pub fn outcome<T: ToSchema>(created: bool) -> Gives {
    Gives::Outcome { record: schema_of::<T>(), created }
}

/// A query parameter.
pub struct QueryDoc {
    /// Its name.
    pub name: &'static str,
    /// A form, as `uuid`, or the words that it may be, as `a|b`.
    pub form: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it does.
    pub says: &'static str,
}

/// The fields that a write takes: those of its command but the ones that the server sets.
pub struct BodyDoc {
    /// Its name in the document.
    pub name: &'static str,
    /// The command.
    pub command: RefOr<Schema>,
    /// Fields of the command that the server sets.
    pub set_by_server: &'static [&'static str],
    /// Whether every field may be left out (PATCH).
    pub partial: bool,
}

/// What the OpenAPI document says of an operation.
pub struct Doc {
    /// Its id, for generated clients.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its query parameters.
    pub query: Vec<QueryDoc>,
    /// Its body.
    pub body: Option<BodyDoc>,
    /// Whether it takes `If-Match`.
    pub if_match: bool,
    /// Whether it gives its items as a live stream too.
    pub streams: bool,
    /// What it gives.
    pub gives: Gives,
}

impl Doc {
    /// An operation without parameters and body.
    #[must_use]
    pub fn new(id: &'static str, summary: &'static str, gives: Gives) -> Self {
        let (query, body, if_match, streams) = (Vec::new(), None, false, false);
        Self { id, summary, query, body, if_match, streams, gives }
    }

    /// Adds an optional query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, form: &'static str, says: &'static str) -> Self {
        self.query.push(QueryDoc { name, form, required: false, says });
        self
    }

    /// Adds a query parameter that must be there.
    #[must_use]
    pub fn required(mut self, name: &'static str, form: &'static str, says: &'static str) -> Self {
        self.query.push(QueryDoc { name, form, required: true, says });
        self
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, body: BodyDoc) -> Self {
        self.body = Some(body);
        self
    }

    /// The operation gives its items as a live stream too.
    #[must_use]
    pub fn streams(mut self) -> Self {
        self.streams = true;
        self
    }

    /// The operation takes `If-Match`.
    #[must_use]
    pub fn if_match(mut self) -> Self {
        self.if_match = true;
        self
    }
}
