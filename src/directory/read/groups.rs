//! Groups, and whom a change of theirs concerns: everybody who is, or by our record was, in them or
//! in a group below.

use super::{Failure, Task};
use crate::store::{DirectoryGroup, PersonFilter};
use std::collections::{BTreeMap, BTreeSet};

/// People of a group that are looked up together.
const PAGE: u32 = 500;

impl Task<'_> {
    /// A group: its name, its parents, and everybody who is or was in it.
    pub(super) async fn group(&self, id: &str) -> Result<(), Failure> {
        let group = self.take_in_group(id).await?;
        let id = group.map_or_else(|| id.to_owned(), |group| group.id);
        let all = self.all_groups().await?;
        let concerned = below(&all, &BTreeSet::from([id]));
        let people = self.people_of(&concerned).await?;
        self.wish_people(people).await
    }

    /// All groups, then everybody who is in or below those that changed.
    pub(super) async fn groups(&self) -> Result<(), Failure> {
        let known = self.reader.store.groups(self.source.id()).await?;
        let all = self.all_groups().await?;
        let mut changed = BTreeSet::new();
        for group in &all {
            if self.reader.intake.group(group, self.why).await? {
                changed.insert(group.id.clone());
            }
        }
        let there: BTreeSet<&str> = all.iter().map(|group| group.id.as_str()).collect();
        for missing in known.iter().filter(|group| group.gone_at.is_none()) {
            // A list that lacks one is a reason to ask, and no more.
            if !there.contains(missing.id.as_str()) {
                let group = self.take_in_group(&missing.id).await?;
                if group.is_none_or(|group| group.gone_at.is_some()) {
                    changed.insert(missing.id.clone());
                }
            }
        }
        let concerned = below(&all, &changed);
        let people = self.people_of(&concerned).await?;
        self.wish_people(people).await
    }

    /// One group, or the directory's word that there is none any more; `None` when nobody ever heard
    /// of it.
    async fn take_in_group(&self, id: &str) -> Result<Option<DirectoryGroup>, Failure> {
        let asked_at = self.reader.clock.now();
        let group = match self.source.group(id).await? {
            Some(group) => Some(group),
            None => {
                let known = self.reader.store.groups(self.source.id()).await?;
                let known = known.into_iter().find(|group| same_id(&group.id, id));
                known.map(|known| DirectoryGroup {
                    gone_at: Some(known.gone_at.unwrap_or(asked_at)),
                    read_at: asked_at,
                    ..known
                })
            }
        };
        if let Some(group) = &group {
            self.reader.intake.group(group, self.why).await?;
        }
        Ok(group)
    }

    async fn all_groups(&self) -> Result<Vec<DirectoryGroup>, Failure> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = self.source.groups(from.as_deref()).await?;
            all.extend(page.items);
            from = page.next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// Who is in these by the directory, and who is or was by our record.
    async fn people_of(&self, groups: &BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
        let mut people = BTreeSet::new();
        for group in groups {
            people.extend(self.source.members(group).await?);
            let mut filter = PersonFilter {
                source: Some(self.source.id().clone()),
                group: Some(group.clone()),
                present: true,
                limit: PAGE,
                ..PersonFilter::default()
            };
            loop {
                let page = self.reader.store.people(&filter).await?;
                let last = page
                    .last()
                    .map(|last| (last.source.clone(), last.id.clone()));
                let whole = page.len() < PAGE as usize;
                people.extend(page.into_iter().map(|person| person.id));
                if whole {
                    break;
                }
                filter.after = last;
            }
        }
        Ok(people)
    }
}

/// With or without dashes: events write them so, records otherwise.
fn same_id(a: &str, b: &str) -> bool {
    a.replace('-', "").eq_ignore_ascii_case(&b.replace('-', ""))
}

/// The groups that are in one of these, directly or by way of others, themselves included.
fn below(groups: &[DirectoryGroup], tops: &BTreeSet<String>) -> BTreeSet<String> {
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in groups {
        for parent in &group.parents {
            children.entry(parent).or_default().push(&group.id);
        }
    }
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut left: Vec<&str> = tops.iter().map(String::as_str).collect();
    while let Some(id) = left.pop() {
        if found.insert(id.to_owned()) {
            left.extend(children.get(id).into_iter().flatten());
        }
    }
    found
}
