//! Schemas as `/Schemas` shows them (RFC 7643 §7): nothing that is empty, and no `null`.

use super::{Attribute, ENTERPRISE, GROUP, Kind, Mutability, Schema, USER};
use serde_json::{Value, json};

const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// All schemas.
pub(in crate::api::scim) static ALL: [&Schema; 3] = [&USER, &ENTERPRISE, &GROUP];

/// A schema's document; `base` is the address of the SCIM service.
pub(in crate::api::scim) fn document(schema: &Schema, base: &str) -> Value {
    let attributes: Vec<_> = schema.attributes.iter().map(attribute).collect();
    json!({
        "schemas": [SCHEMA],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": attributes,
        "meta": {
            "resourceType": "Schema",
            "location": format!("{base}/Schemas/{}", schema.urn),
        },
    })
}

fn attribute(attribute: &Attribute) -> Value {
    let mut shown = json!({
        "name": attribute.name,
        "type": match attribute.kind {
            Kind::Text => "string",
            Kind::Flag => "boolean",
            Kind::Binary => "binary",
            Kind::Reference => "reference",
            Kind::Complex => "complex",
        },
        "multiValued": attribute.multi,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": match attribute.mutability {
            Mutability::ReadWrite => "readWrite",
            Mutability::ReadOnly => "readOnly",
            Mutability::Immutable => "immutable",
        },
        "returned": "default",
    });
    let Some(members) = shown.as_object_mut() else {
        return shown;
    };
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if attribute.kind != Kind::Complex {
        add("caseExact", attribute.exact.into());
        let unique = if attribute.unique { "server" } else { "none" };
        add("uniqueness", unique.into());
    }
    if !attribute.canonical.is_empty() {
        add("canonicalValues", attribute.canonical.into());
    }
    if !attribute.references.is_empty() {
        add("referenceTypes", attribute.references.into());
    }
    if !attribute.subs.is_empty() {
        let subs: Vec<_> = attribute.subs.iter().map(self::attribute).collect();
        add("subAttributes", subs.into());
    }
    shown
}
