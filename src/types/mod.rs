//! Ids, hosts, secrets: leaf types that import nothing of ours.
