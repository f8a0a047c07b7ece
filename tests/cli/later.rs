//! A genuine backup of a program that does not exist yet.

use auth_manager::keys::master::MasterKey;
use std::path::Path;

/// With tables of this version.
pub(crate) fn write(master: &MasterKey, path: &Path, schema: i64) {
    let lines = format!(
        "{{\"backup\":{{\"form\":1,\"program\":\"9.9.9\",\"made_at\":1,\"schema\":{schema}}}}}\n{{\"end\":{{\"rows\":0}}}}\n"
    );
    let mut sealer = master.seal_stream().unwrap();
    let mut file = b"auth-manager backup\n".to_vec();
    file.extend_from_slice(sealer.head());
    file.extend(sealer.piece(lines.as_bytes(), true).unwrap());
    std::fs::write(path, file).unwrap();
}
