//! The command line as an operator meets it: the real binary, in a folder of its own, with SQLite.
//! What it asks is played by the stand-in and by recordings of a real Pomerium.

mod accounts;
mod assertion;
mod audit;
mod backup;
mod bed;
mod check;
mod directory;
mod hooks;
mod init;
mod jobs;
mod keys;
mod later;
mod people;
mod person_data;
#[path = "../support/pg.rs"]
mod pg;
mod postgres;
mod restored;
mod sessions;
