//! What resources are made of (RFC 7643 §4): one table, which says how attributes are compared and
//! checked and what `/Schemas` shows ([`documents`]), so that the two never differ.

mod core;
pub(super) mod documents;

pub(super) use self::core::{ENTERPRISE, GROUP, USER};

use crate::store::ScimKind;

/// A schema.
#[derive(Debug)]
pub(super) struct Schema {
    /// Its URN.
    pub(super) urn: &'static str,
    /// What it is called.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) description: &'static str,
    /// What is in it.
    pub(super) attributes: &'static [Attribute],
}

/// An attribute or a sub-attribute.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: Kind,
    pub(super) multi: bool,
    pub(super) required: bool,
    /// Whether case counts.
    pub(super) exact: bool,
    pub(super) mutability: Mutability,
    /// Whether no two resources have the same.
    pub(super) unique: bool,
    /// Values it usually has.
    pub(super) canonical: &'static [&'static str],
    /// What a reference leads to.
    pub(super) references: &'static [&'static str],
    pub(super) subs: &'static [Self],
}

/// What values an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Binary,
    Reference,
    Complex,
}

/// Who writes an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutability {
    ReadWrite,
    /// We alone.
    ReadOnly,
    /// The client, once.
    Immutable,
}

impl Attribute {
    /// The sub-attribute of this name, in any case.
    pub(super) fn sub(&self, name: &str) -> Option<&'static Self> {
        named(self.subs, name)
    }
}

fn named(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    let mut all = attributes.iter();
    all.find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl Schema {
    /// The attribute of this name, in any case.
    pub(super) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        named(self.attributes, name)
    }
}

/// The schema that a kind of resource always has.
pub(super) const fn of_kind(kind: ScimKind) -> &'static Schema {
    match kind {
        ScimKind::User => &USER,
        ScimKind::Group => &GROUP,
    }
}

/// Schemas that a kind of resource may have besides.
pub(super) fn extensions(kind: ScimKind) -> &'static [&'static Schema] {
    static OF_USERS: [&Schema; 1] = [&ENTERPRISE];
    match kind {
        ScimKind::User => &OF_USERS,
        ScimKind::Group => &[],
    }
}

/// The extension of this URN, in any case.
pub(super) fn extension(kind: ScimKind, urn: &str) -> Option<&'static Schema> {
    let mut all = extensions(kind).iter().copied();
    all.find(|schema| schema.urn.eq_ignore_ascii_case(urn))
}

/// Whether this URN is the one that a kind of resource always has.
pub(super) fn is_core(kind: ScimKind, urn: &str) -> bool {
    of_kind(kind).urn.eq_ignore_ascii_case(urn)
}

/// Whether case counts where values are compared. What no schema knows is compared without (RFC
/// 7643 §2.2). `attr` and `sub` are lower case.
pub(super) fn is_exact(attr: &str, sub: &str) -> bool {
    match attr {
        "id" | "externalid" => return true,
        // Keys of ours and of the client's.
        "members" | "groups" if matches!(sub, "" | "value") => return true,
        _ => {}
    }
    let extension = attr.rsplit_once(':');
    let found = match extension {
        Some((urn, name)) if ENTERPRISE.urn.eq_ignore_ascii_case(urn) => ENTERPRISE.attribute(name),
        Some(_) => None,
        None => USER.attribute(attr).or_else(|| GROUP.attribute(attr)),
    };
    let Some(found) = found else { return false };
    match sub {
        "" if found.subs.is_empty() => found.exact,
        "" => found.sub("value").is_some_and(|sub| sub.exact),
        sub => found.sub(sub).is_some_and(|sub| sub.exact),
    }
}

/// Whether an attribute, or a sub-attribute, is a flag; names in any case.
pub(super) fn is_flag(attr: &str, sub: Option<&str>) -> bool {
    let found = USER.attribute(attr).or_else(|| GROUP.attribute(attr));
    let found = match sub {
        None => found,
        Some(sub) => found.and_then(|found| found.sub(sub)),
    };
    found.is_some_and(|found| found.kind == Kind::Flag)
}

/// A text as it is compared where case does not count.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}
