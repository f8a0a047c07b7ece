//! The configured directories of a running bridge, with TLS that follows its files.

use super::certificates::Certificates;
use super::wire::StartError;
use crate::config::Config;
use crate::directory::source::Source;
use crate::directory::sources;
use crate::tls::ClientFiles;
use crate::types::Clock;
use std::sync::Arc;

/// What the certificates of a directory are called.
pub(super) fn about(id: &str) -> String {
    format!("directory {id}")
}

/// A reader of each; nothing is asked yet.
pub(super) fn open(
    config: &Config,
    certificates: &Certificates,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Source>>, StartError> {
    let one = |directory: &crate::config::DirectoryConfig| {
        let about = about(directory.id.as_str());
        let files = ClientFiles {
            ca: directory.ca.clone(),
            ..ClientFiles::default()
        };
        let tls = certificates.client(&about, &files)?;
        sources::open(directory, tls, clock.clone()).map_err(|e| StartError::new(about, e))
    };
    config.directories.iter().map(one).collect()
}
