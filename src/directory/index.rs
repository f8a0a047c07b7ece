//! What all sources say of groups, each named once: words refer to them by number, so that ten
//! thousand people in two hundred groups stay small. Grows with the groups there ever were, never
//! shrinks while it lives; names change in place, so that no word must be read again for it.

use crate::store::{DirectoryGroup, SourceState};
use crate::types::{SourceId, Timestamp};
use std::collections::HashMap;

/// A group, by its place in the index.
pub(super) type GroupNumber = u32;
/// A source, by its place.
pub(super) type SourceNumber = u16;

/// One group of one source.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) source: SourceNumber,
    pub(super) id: Box<str>,
    /// Empty while only its id was heard of.
    pub(super) name: Box<str>,
    pub(super) gone: bool,
}

/// One source.
#[derive(Debug)]
pub(super) struct KnownSource {
    pub(super) id: SourceId,
    /// When all of its words were last said or confirmed.
    pub(super) swept_at: Option<Timestamp>,
    /// Whether it only ever tells of its own accord (SCIM) and can't be asked: what it does not say
    /// again still stands, so its words do not age.
    pub(super) pushes: bool,
    /// Whether it has ever named a group: one that has not says nothing about groups, and its
    /// silence is no *no*.
    pub(super) speaks: bool,
    by_id: HashMap<Box<str>, GroupNumber>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    sources: Vec<KnownSource>,
    groups: Vec<Known>,
    by_name: HashMap<Box<str>, Vec<GroupNumber>>,
}

impl Index {
    /// Of what the store knows.
    #[must_use]
    pub fn of(groups: &[DirectoryGroup], states: &[(SourceId, SourceState)]) -> Self {
        let mut index = Self::default();
        index.update(groups, states);
        index
    }

    /// Takes over what the store knows now.
    pub fn update(&mut self, groups: &[DirectoryGroup], states: &[(SourceId, SourceState)]) {
        for (source, state) in states {
            let number = self.source(source);
            if let Some(known) = self.sources.get_mut(usize::from(number)) {
                known.swept_at = state.swept_at;
                known.pushes = state.heard_at.is_some()
                    && state.answered_at.is_none()
                    && state.swept_at.is_none();
            }
        }
        for group in groups {
            let source = self.source(&group.source);
            if let Some(known) = self.sources.get_mut(usize::from(source)) {
                known.speaks = true;
            }
            let number = self.number(source, &group.id);
            if let Some(known) = self.groups.get_mut(number as usize) {
                known.gone = group.gone_at.is_some();
                if *known.name != *group.name {
                    known.name = group.name.as_str().into();
                }
            }
        }
        self.by_name.clear();
        for (number, group) in (0..).zip(&self.groups) {
            if !group.gone && !group.name.is_empty() {
                let named = self.by_name.entry(group.name.clone()).or_default();
                named.push(number);
            }
        }
    }

    /// The number of a source; a new one when it was never heard of.
    pub(super) fn source(&mut self, id: &SourceId) -> SourceNumber {
        if let Some(at) = self.sources.iter().position(|known| known.id == *id) {
            return at as SourceNumber;
        }
        self.sources.push(KnownSource {
            id: id.clone(),
            swept_at: None,
            pushes: false,
            speaks: false,
            by_id: HashMap::new(),
        });
        (self.sources.len() - 1) as SourceNumber
    }

    /// The number of a group; a new one when it was never heard of.
    pub(super) fn number(&mut self, source: SourceNumber, id: &str) -> GroupNumber {
        let Some(of) = self.sources.get_mut(usize::from(source)) else {
            return GroupNumber::MAX;
        };
        if let Some(number) = of.by_id.get(id) {
            return *number;
        }
        let number = self.groups.len() as GroupNumber;
        of.by_id.insert(id.into(), number);
        self.groups.push(Known {
            source,
            id: id.into(),
            name: Box::default(),
            gone: false,
        });
        number
    }

    pub(super) fn known_source(&self, number: SourceNumber) -> Option<&KnownSource> {
        self.sources.get(usize::from(number))
    }

    pub(super) fn group(&self, number: GroupNumber) -> Option<&Known> {
        self.groups.get(number as usize)
    }

    /// The group of a source that has this id.
    pub(super) fn by_id(&self, source: SourceNumber, id: &str) -> Option<GroupNumber> {
        let of = self.sources.get(usize::from(source))?;
        of.by_id.get(id).copied()
    }

    /// The groups of this name that exist, of whatever source.
    pub(super) fn by_name(&self, name: &str) -> &[GroupNumber] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}
