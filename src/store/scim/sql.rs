//! How both engines ask for what a [`ScimCondition`] says. The text of a statement is made of pieces
//! that stand in this file and of numbers of places: what a client said reaches the database as
//! values alone (T31).

use super::{ScimCompare, ScimCondition, ScimElement, ScimKind, ScimPlace, ScimSearch, ScimSort};
use crate::store::rules::plain;
use crate::types::SourceId;

/// Characters of a text that it is found by.
const HEAD: usize = 64;

/// The beginning of a text, which is indexed.
pub(in crate::store) fn head(text: &str) -> String {
    text.chars().take(HEAD).collect()
}

/// What the engines say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    Sqlite,
    Postgres,
}

/// A value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Bound {
    Text(String),
    Int(i64),
}

/// A statement that grows.
pub(in crate::store) struct Asked {
    dialect: Dialect,
    connection: String,
    pub(in crate::store) text: String,
    pub(in crate::store) values: Vec<Bound>,
}

/// The columns of a resource, in the order of `rows::scim_resource`.
pub(in crate::store) const RESOURCE: &str = "r.id, r.connection, r.kind, r.body, r.external_id, \
     r.subject, r.active, r.version, r.word, r.told, r.created_at, r.updated_at, r.deleted_at";

/// How many pass.
pub(in crate::store) fn count(
    dialect: Dialect,
    connection: &SourceId,
    search: &ScimSearch,
) -> Asked {
    let mut asked = Asked::new(dialect, connection, "SELECT count(*)");
    asked.from(search);
    asked
}

/// The page of them.
pub(in crate::store) fn page(
    dialect: Dialect,
    connection: &SourceId,
    search: &ScimSearch,
) -> Asked {
    let mut asked = Asked::new(dialect, connection, &format!("SELECT {RESOURCE}"));
    asked.from(search);
    asked.order(search.sort.as_ref());
    let (limit, offset) = (search.limit, search.offset.max(0));
    asked.add(&format!(" LIMIT {limit} OFFSET {offset}"));
    asked
}

impl Asked {
    fn new(dialect: Dialect, connection: &SourceId, text: &str) -> Self {
        Self {
            dialect,
            connection: connection.as_str().to_owned(),
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn place_of(&mut self, value: Bound) -> String {
        self.values.push(value);
        let n = self.values.len();
        match (self.dialect, self.values.last()) {
            (Dialect::Sqlite, _) => format!("?{n}"),
            (Dialect::Postgres, Some(Bound::Int(_))) => format!("${n}::bigint"),
            (Dialect::Postgres, _) => format!("${n}::text"),
        }
    }

    fn bind(&mut self, text: &str) -> String {
        self.place_of(Bound::Text(plain(text).into_owned()))
    }

    fn from(&mut self, search: &ScimSearch) {
        let connection = self.connection.clone();
        let connection = self.bind(&connection);
        self.add(&format!(
            " FROM scim_resources r WHERE r.connection = {connection} AND r.deleted_at IS NULL"
        ));
        // Words of ours.
        let word = |kind: &ScimKind| format!("'{}'", kind.as_str());
        let kinds: Vec<_> = search.kinds.iter().map(word).collect();
        self.add(&format!(" AND r.kind IN ({})", kinds.join(", ")));
        if let Some(condition) = &search.condition {
            self.add(" AND ");
            self.condition(condition);
        }
    }

    fn condition(&mut self, condition: &ScimCondition) {
        match condition {
            ScimCondition::And(all) => self.joined(all, " AND ", "1 = 1", Self::condition),
            ScimCondition::Or(any) => self.joined(any, " OR ", "1 = 0", Self::condition),
            ScimCondition::Not(inner) => {
                self.add("NOT (");
                self.condition(inner);
                self.add(")");
            }
            ScimCondition::Value(place, compare) => {
                let (column, table) = source(place);
                self.add(&format!("r.id IN (SELECT v.{column} FROM {table} v WHERE "));
                match place {
                    ScimPlace::Index(attr, sub) => {
                        self.at(attr, "v");
                        self.sub(sub.as_deref(), compare);
                        self.compare(compare, "v");
                    }
                    ScimPlace::Members | ScimPlace::Groups => self.edge(place, "v", compare),
                }
                self.add(")");
            }
            ScimCondition::Element(place, element) => {
                let (column, table) = source(place);
                self.add(&format!("r.id IN (SELECT e.{column} FROM {table} e WHERE "));
                match place {
                    ScimPlace::Index(attr, _) => self.at(attr, "e"),
                    ScimPlace::Members | ScimPlace::Groups => self.own("e"),
                }
                self.add(" AND ");
                self.element(place, element);
                self.add(")");
            }
            ScimCondition::Time(time, order, nanoseconds) => {
                let value = self.place_of(Bound::Int(*nanoseconds));
                let (column, order) = (time.column(), order.sql());
                self.add(&format!("r.{column} * 1000000000 {order} {value}"));
            }
        }
    }

    fn joined<T>(&mut self, all: &[T], by: &str, none: &str, one: fn(&mut Self, &T)) {
        if all.is_empty() {
            return self.add(none);
        }
        for (at, item) in all.iter().enumerate() {
            self.add(if at == 0 { "(" } else { by });
            one(self, item);
        }
        self.add(")");
    }

    fn element(&mut self, place: &ScimPlace, element: &ScimElement) {
        match element {
            ScimElement::And(all) | ScimElement::Or(all) => {
                let by = match element {
                    ScimElement::And(_) => " AND ",
                    _ => " OR ",
                };
                for (at, item) in all.iter().enumerate() {
                    self.add(if at == 0 { "(" } else { by });
                    self.element(place, item);
                }
                self.add(if all.is_empty() { "1 = 0" } else { ")" });
            }
            ScimElement::Not(inner) => {
                self.add("NOT (");
                self.element(place, inner);
                self.add(")");
            }
            ScimElement::Value(sub, compare) => match place {
                ScimPlace::Index(..) => {
                    self.add(
                        "EXISTS (SELECT 1 FROM scim_values v WHERE v.resource = e.resource \
                         AND v.attr = e.attr AND v.element = e.element",
                    );
                    self.sub(sub.as_deref(), compare);
                    self.compare(compare, "v");
                    self.add(")");
                }
                _ if sub.as_deref().is_none_or(|sub| sub == "value") => {
                    let column = other(place);
                    self.text_compare(compare, &format!("e.{column}"), None);
                }
                _ => self.add("1 = 0"),
            },
        }
    }

    fn at(&mut self, attr: &str, alias: &str) {
        let attr = self.bind(attr);
        self.add(&format!("{alias}.attr = {attr}"));
    }

    /// Memberships of the connection alone.
    fn own(&mut self, alias: &str) {
        let connection = self.connection.clone();
        let connection = self.bind(&connection);
        self.add(&format!("{alias}.connection = {connection}"));
    }

    fn edge(&mut self, place: &ScimPlace, alias: &str, compare: &ScimCompare) {
        self.own(alias);
        self.add(" AND ");
        self.text_compare(compare, &format!("{alias}.{}", other(place)), None);
    }

    fn sub(&mut self, sub: Option<&str>, compare: &ScimCompare) {
        match sub {
            Some(sub) => {
                let sub = self.bind(sub);
                self.add(&format!(" AND v.sub = {sub}"));
            }
            None if *compare == ScimCompare::Present => {}
            None => self.add(" AND v.sub IN ('', 'value')"),
        }
        self.add(" AND ");
    }

    fn compare(&mut self, compare: &ScimCompare, alias: &str) {
        match compare {
            ScimCompare::Present => {
                self.add(&format!("({alias}.kind <> 's' OR {alias}.text <> '')"));
            }
            ScimCompare::Flag(flag) => {
                let flag = i64::from(*flag);
                self.add(&format!("{alias}.kind = 'b' AND {alias}.number = {flag}"));
            }
            ScimCompare::Number(order, number) => {
                let (order, number) = (order.sql(), self.place_of(Bound::Int(*number)));
                self.add(&format!(
                    "{alias}.kind = 'n' AND {alias}.number {order} {number}"
                ));
            }
            text => {
                self.add(&format!("{alias}.kind = 's' AND "));
                let head = format!("{alias}.head");
                self.text_compare(text, &format!("{alias}.text"), Some(&head));
            }
        }
    }

    fn text_compare(&mut self, compare: &ScimCompare, column: &str, indexed: Option<&str>) {
        match compare {
            ScimCompare::Present | ScimCompare::AnyText => self.add("1 = 1"),
            ScimCompare::Flag(_) | ScimCompare::Number(..) => self.add("1 = 0"),
            ScimCompare::Text(order, text) => {
                if let (super::ScimOrder::Is, Some(indexed)) = (order, indexed) {
                    let head = self.bind(&head(text));
                    self.add(&format!("{indexed} = {head} AND "));
                }
                let text = self.bind(text);
                self.add(&format!("{column} {} {text}", order.sql()));
            }
            ScimCompare::Contains(text) => {
                let text = self.bind(text);
                let function = match self.dialect {
                    Dialect::Sqlite => "instr",
                    Dialect::Postgres => "strpos",
                };
                self.add(&format!("{function}({column}, {text}) > 0"));
            }
            ScimCompare::Starts(text) => {
                let text = self.bind(text);
                self.add(&format!("substr({column}, 1, length({text})) = {text}"));
            }
            ScimCompare::Ends(text) => {
                let text = self.bind(text);
                match self.dialect {
                    Dialect::Sqlite => {
                        self.add(&format!("substr({column}, -length({text})) = {text}"));
                    }
                    Dialect::Postgres => {
                        self.add(&format!("right({column}, length({text})) = {text}"));
                    }
                }
            }
        }
    }

    fn order(&mut self, sort: Option<&ScimSort>) {
        let way = |descending: &bool| if *descending { "DESC" } else { "ASC" };
        match sort {
            None => self.add(" ORDER BY r.id"),
            Some(ScimSort::Made { descending }) => {
                self.add(&format!(" ORDER BY r.id {}", way(descending)));
            }
            Some(ScimSort::Time { time, descending }) => {
                let (column, way) = (time.column(), way(descending));
                self.add(&format!(" ORDER BY r.{column} {way}, r.id"));
            }
            Some(ScimSort::Value {
                attr,
                sub,
                descending,
            }) => {
                let attr = self.bind(attr);
                let sub = match sub {
                    Some(sub) => format!("v.sub = {}", self.bind(sub)),
                    None => "v.sub IN ('', 'value')".to_owned(),
                };
                let first = |column: &str| {
                    format!(
                        "(SELECT {column} FROM scim_values v WHERE v.resource = r.id \
                         AND v.attr = {attr} AND {sub} \
                         ORDER BY v.main DESC, v.element, v.n LIMIT 1)"
                    )
                };
                let way = way(descending);
                // What engines say of missing values differs: it is not left to them.
                let there = match descending {
                    true => format!("coalesce({}, 0) ASC", first("1")),
                    false => format!("coalesce({}, 0) DESC", first("1")),
                };
                let number = format!("coalesce({}, 0) {way}", first("v.number"));
                let text = format!("coalesce({}, '') {way}", first("v.text"));
                self.add(&format!(" ORDER BY {there}, {number}, {text}, r.id"));
            }
        }
    }
}

/// The column of a place that is a resource's own id, and the table.
const fn source(place: &ScimPlace) -> (&'static str, &'static str) {
    match place {
        ScimPlace::Index(..) => ("resource", "scim_values"),
        ScimPlace::Members => ("group_id", "scim_members"),
        ScimPlace::Groups => ("member", "scim_members"),
    }
}

/// The other end of a membership.
const fn other(place: &ScimPlace) -> &'static str {
    match place {
        ScimPlace::Groups => "group_id",
        _ => "member",
    }
}
