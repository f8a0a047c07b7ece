//! Which groups a group is in, and so on: the directory's tree as it was read, with its age. What is
//! in itself by way of others ends there. Nothing here asks anybody.

use crate::store::DirectoryGroup;
use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

/// The groups of a directory at one time.
#[derive(Debug)]
pub(super) struct Tree {
    parents: HashMap<String, Vec<String>>,
    /// When reading it began.
    pub(super) read: Instant,
}

/// A group that is named somewhere and not among those that were shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) String);

impl Tree {
    pub(super) fn new(groups: impl IntoIterator<Item = DirectoryGroup>, read: Instant) -> Self {
        let parents = groups.into_iter().map(|group| (group.id, group.parents));
        Self {
            parents: parents.collect(),
            read,
        }
    }

    pub(super) fn holds(&self, id: &str) -> bool {
        self.parents.contains_key(id)
    }

    /// These groups and all that they are in, sorted.
    ///
    /// # Errors
    /// When one of them was not shown: then the answer would not be whole.
    pub(super) fn with_parents<'a>(
        &'a self,
        direct: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, Unknown> {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut left: Vec<&str> = direct.into_iter().collect();
        while let Some(id) = left.pop() {
            if found.contains(id) {
                continue;
            }
            let parents = self.parents.get(id).ok_or_else(|| Unknown(id.to_owned()))?;
            found.insert(id);
            left.extend(parents.iter().map(String::as_str));
        }
        Ok(found.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{SourceId, Timestamp};

    fn group(id: &str, parents: &[&str]) -> DirectoryGroup {
        DirectoryGroup {
            source: SourceId::new("a").unwrap(),
            id: id.into(),
            name: id.into(),
            parents: parents.iter().map(|id| (*id).to_owned()).collect(),
            read_at: Timestamp(0),
            gone_at: None,
        }
    }

    #[test]
    fn membership_is_inherited_and_circles_end() {
        let groups = [
            group("a", &["b", "c"]),
            group("b", &["d"]),
            group("c", &[]),
            group("d", &["a"]),
            group("e", &["f"]),
        ];
        let tree = Tree::new(groups.to_vec(), Instant::now());
        assert_eq!(tree.with_parents(["b"]).unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(tree.with_parents(["c"]).unwrap(), ["c"]);
        assert!(tree.with_parents([]).unwrap().is_empty());
        assert_eq!(
            tree.with_parents(["e"]),
            Err(Unknown("f".into())),
            "its parent was not shown"
        );
        assert_eq!(tree.with_parents(["x"]), Err(Unknown("x".into())));
    }
}
