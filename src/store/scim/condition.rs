//! What a search of SCIM resources asks: a tree over the index, resolved and typed already. It names
//! attributes and values only as data: nothing in it is ever a piece of SQL.

/// What a resource must pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimCondition {
    /// All of these; everything passes none.
    And(Vec<Self>),
    /// One of these; nothing passes none.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// Some value at a place compares so.
    Value(ScimPlace, ScimCompare),
    /// Some value of a multi-valued attribute passes as a whole.
    Element(ScimPlace, ScimElement),
    /// A time of the resource itself compares so with nanoseconds since 1970.
    Time(ScimTime, ScimOrder, i64),
}

/// Where values stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimPlace {
    /// In the index: attribute (lower case, an extension's with its URN) and sub-attribute; `None`
    /// means the value itself, be it the attribute or its `value`, and for presence any.
    Index(String, Option<String>),
    /// Ids of a group's members.
    Members,
    /// Ids of the groups that a member is in itself.
    Groups,
}

/// What one value of a multi-valued attribute must pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimElement {
    /// All of these.
    And(Vec<Self>),
    /// One of these.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// Its sub-attribute compares so; `None` as in [`ScimPlace::Index`].
    Value(Option<String>, ScimCompare),
}

/// How a simple value compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimCompare {
    /// It is there, and no empty text.
    Present,
    /// It is this flag.
    Flag(bool),
    /// It is a number that compares so, as [`ordered`] says.
    Number(ScimOrder, i64),
    /// It is a text that compares so, byte by byte.
    Text(ScimOrder, String),
    /// It is a text with this in it.
    Contains(String),
    /// It is a text that begins so.
    Starts(String),
    /// It is a text that ends so.
    Ends(String),
    /// It is a text.
    AnyText,
}

/// How things compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimOrder {
    /// The same.
    Is,
    /// Greater.
    Greater,
    /// Greater or the same.
    NotLess,
    /// Less.
    Less,
    /// Less or the same.
    NotGreater,
}

impl ScimOrder {
    /// Whether two things compare so.
    #[must_use]
    pub fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Is => left == right,
            Self::Greater => left > right,
            Self::NotLess => left >= right,
            Self::Less => left < right,
            Self::NotGreater => left <= right,
        }
    }

    /// In SQL.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::Greater => ">",
            Self::NotLess => ">=",
            Self::Less => "<",
            Self::NotGreater => "<=",
        }
    }
}

/// Times of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimTime {
    /// `meta.created`.
    Created,
    /// `meta.lastModified`.
    Modified,
}

impl ScimTime {
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Created => "created_at",
            Self::Modified => "updated_at",
        }
    }
}

/// In which order a page comes. What has no value comes last, or first when it is turned round
/// (RFC 7644 §3.4.2.3); what is the same comes as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimSort {
    /// By a value; of several by the primary one, else the first.
    Value {
        /// The attribute.
        attr: String,
        /// Its sub-attribute.
        sub: Option<String>,
        /// The greatest first.
        descending: bool,
    },
    /// By a time.
    Time {
        /// Which.
        time: ScimTime,
        /// The newest first.
        descending: bool,
    },
    /// By id, which is as they were made.
    Made {
        /// The newest first.
        descending: bool,
    },
}

/// A number as an integer that compares as the number does: both engines keep it exactly, and a
/// backup of one fits the other. `None` for what is no number.
#[must_use]
pub fn ordered(number: f64) -> Option<i64> {
    if number.is_nan() {
        return None;
    }
    // Minus nought is nought.
    let bits = i64::from_ne_bytes((number + 0.0).to_ne_bytes());
    Some(bits ^ (((bits >> 63) as u64) >> 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_keep_their_order(a in any::<f64>(), b in any::<f64>()) {
            if let (Some(x), Some(y)) = (ordered(a), ordered(b)) {
                prop_assert_eq!(a.partial_cmp(&b), Some(x.cmp(&y)));
            }
        }
    }

    #[test]
    fn nought_has_one_sign_and_nothing_is_no_number() {
        assert_eq!(ordered(-0.0), ordered(0.0));
        assert_eq!(ordered(f64::NAN), None);
    }
}
