//! Which apps a directory's word admits to: by the rules that the road and provisioning go by, as if
//! the word had just been said and were the only one.

use super::plan::{Admits, Judge};
use crate::directory::gate;
use crate::directory::index::Index;
use crate::directory::{Standing, Terms, View};
use crate::store::{DirectoryGroup, SaidOf, SourceState, Word};
use crate::types::Timestamp;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// By the configuration, which a reload replaces.
pub struct ByRules(pub Arc<ArcSwap<Terms>>);

impl Judge for ByRules {
    fn with<'a>(&'a self, groups: &'a BTreeMap<String, DirectoryGroup>) -> Admits<'a> {
        let terms = self.0.load_full();
        let all: Vec<DirectoryGroup> = groups.values().cloned().collect();
        let states: Vec<_> = (all.first())
            .map(|group| (group.source.clone(), SourceState::default()))
            .into_iter()
            .collect();
        let mut index = Index::of(&all, &states);
        Box::new(move |person| {
            let Some(subject) = person.subject.clone().filter(|_| person.human) else {
                return BTreeSet::new();
            };
            let now = Timestamp(person.read_at.0);
            let said = SaidOf {
                issuer: person.issuer.clone(),
                subject,
                words: vec![Word {
                    person: person.clone(),
                    denied_since: None,
                    number: 0,
                    settled: true,
                }],
                pardoned_at: None,
            };
            let standing = Standing::of(&said, &mut index);
            let view = View {
                standing: Some(&standing),
                index: &index,
            };
            let theirs = terms.apps.iter().filter(|app| app.issuer == person.issuer);
            theirs
                .filter(|app| {
                    let judged = gate::by_directories(&app.access, &view, &terms.rules, now);
                    judged == Some(Ok(()))
                })
                .map(|app| app.id.clone())
                .collect()
        })
    }
}
