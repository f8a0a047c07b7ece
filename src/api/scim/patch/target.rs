//! Where an operation points: a path, resolved against the schemas.

use crate::api::scim::error::{ScimError, ScimType};
use crate::api::scim::filter::parse_path;
use crate::api::scim::resource::{Object, entry};
use crate::api::scim::schema::{self, Attribute, Mutability, Schema};
use crate::store::ScimKind;
use scim_v2::filter::{AttrPath, PatchPath, ValFilter};

/// Where an operation points.
#[derive(Debug)]
pub(super) enum Target {
    /// A whole extension.
    Extension(String),
    /// An attribute, some of its values, or a sub-attribute of these.
    Attribute(Box<At>),
    /// What the client can't write, and may say all the same: nothing happens.
    Ignored,
    /// The resource's own id, which may be said if it is right.
    Id,
}

/// An attribute.
#[derive(Debug)]
pub(super) struct At {
    /// The extension that it is of, by URN.
    pub(super) extension: Option<String>,
    /// Its name, canonical when it is known.
    pub(super) name: String,
    /// What the schemas say of it.
    pub(super) known: Option<&'static Attribute>,
    /// Which of its values.
    pub(super) filter: Option<ValFilter>,
    /// Which part of them.
    pub(super) sub: Option<String>,
}

impl At {
    /// What the schemas say of the sub-attribute.
    pub(super) fn known_sub(&self) -> Option<&'static Attribute> {
        self.known?.sub(self.sub.as_deref()?)
    }

    /// Attribute as it is compared: lower case, an extension's with its URN.
    pub(super) fn compared(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        match &self.extension {
            Some(urn) => format!("{}:{name}", urn.to_ascii_lowercase()),
            None => name,
        }
    }

    /// Whether it is the list of a group's members.
    pub(super) fn is_members(&self, kind: ScimKind) -> bool {
        kind == ScimKind::Group && self.extension.is_none() && self.name == "members"
    }
}

/// Resolves a path. `said` tells which extensions nobody knows are there. A name of a value without
/// a path (`loose`) may be what no path can be: it is then an attribute of that name.
pub(super) fn resolve(
    path: &str,
    kind: ScimKind,
    said: &Object,
    strict: bool,
    loose: bool,
) -> Result<Target, ScimError> {
    if let Some(schema) = schema::extension(kind, path) {
        return Ok(Target::Extension(schema.urn.to_owned()));
    }
    if let Some((name, value)) = entry(said, path)
        && name.contains(':')
        && value.is_object()
    {
        return Ok(Target::Extension(name.clone()));
    }
    if schema::is_core(kind, path) {
        return Ok(Target::Ignored);
    }
    let (attr, filter, sub) = match parse_path(path) {
        Ok(PatchPath::Attr(attr)) => {
            let sub = attr.sub_attr.clone();
            (attr, None, sub)
        }
        Ok(PatchPath::Value(value)) => {
            if value.attr.sub_attr.is_some() {
                let detail = "Brackets stand behind an attribute, not a sub-attribute.";
                return Err(ScimError::bad(ScimType::InvalidPath, detail));
            }
            (value.attr, Some(value.filter), value.sub_attr)
        }
        // A name that the grammar has not, kept as it is, like in a whole resource.
        Err(_) if loose && !strict => (AttrPath::with_name(path), None, None),
        Err(error) => return Err(error),
    };
    at(attr, filter, sub, kind, said, (strict, loose))
}

fn at(
    attr: AttrPath,
    filter: Option<ValFilter>,
    sub: Option<String>,
    kind: ScimKind,
    said: &Object,
    (strict, loose): (bool, bool),
) -> Result<Target, ScimError> {
    let uri = attr.uri.filter(|uri| !schema::is_core(kind, uri));
    let (extension, schema): (Option<String>, Option<&'static Schema>) = match uri {
        None => (None, Some(schema::of_kind(kind))),
        Some(uri) => match schema::extension(kind, &uri) {
            Some(schema) => (Some(schema.urn.to_owned()), Some(schema)),
            None => {
                let spelt = entry(said, &uri).map(|(name, _)| name.clone());
                (Some(spelt.unwrap_or(uri)), None)
            }
        },
    };
    if extension.is_none() {
        match attr.name.to_ascii_lowercase().as_str() {
            "id" => return Ok(Target::Id),
            "schemas" | "password" => return Ok(Target::Ignored),
            "meta" => return read_only(loose && !strict),
            "externalid" => {
                return Ok(Target::Attribute(Box::new(At {
                    extension: None,
                    name: "externalId".to_owned(),
                    known: None,
                    filter,
                    sub,
                })));
            }
            _ => {}
        }
    }
    let known = schema.and_then(|schema| schema.attribute(&attr.name));
    if known.is_none() && strict {
        let detail = "The path leads to no attribute that there is.";
        return Err(ScimError::bad(ScimType::InvalidPath, detail));
    }
    if known.is_some_and(|known| known.mutability == Mutability::ReadOnly) {
        return read_only(loose && !strict);
    }
    let sub = match (known, sub) {
        (Some(known), Some(sub)) => {
            let found = known.sub(&sub);
            if found.is_none() && strict {
                let detail = "The path leads to no sub-attribute that there is.";
                return Err(ScimError::bad(ScimType::InvalidPath, detail));
            }
            Some(found.map_or(sub, |found| found.name.to_owned()))
        }
        (_, sub) => sub,
    };
    Ok(Target::Attribute(Box::new(At {
        extension,
        name: known.map_or(attr.name, |known| known.name.to_owned()),
        known,
        filter,
        sub,
    })))
}

/// Who sends a whole resource back sends what is read-only with it; who points at it means it.
fn read_only(in_passing: bool) -> Result<Target, ScimError> {
    match in_passing {
        true => Ok(Target::Ignored),
        false => Err(ScimError::bad(
            ScimType::Mutability,
            "The attribute is read-only.",
        )),
    }
}
