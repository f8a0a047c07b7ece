//! Every table of the store, and what becomes of its rows: in a backup, in a person's export, when
//! a person is erased. A new table is one line here; a test of both engines fails without it.

/// One table. Columns are not named: they are read from the database.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, the same on every engine.
    pub name: &'static str,
    /// Whether a backup holds its rows.
    pub kept: bool,
    /// The column that holds our id of the person a row is about.
    pub user: Option<&'static str>,
    /// Whether its columns `issuer` and `subject` say whom a row is about.
    pub subject: bool,
    /// What erasing a person does to their rows.
    pub erasure: Erasure,
    /// Columns that no export shows: sealed secrets, which are not the person's.
    pub withheld: &'static [&'static str],
}

/// What erasing a person does to the rows about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasure {
    /// There are none.
    Nobodys,
    /// They go.
    Deletes,
    /// They stay, for this reason.
    Keeps(&'static str),
}

impl Table {
    const fn new(name: &'static str, kept: bool) -> Self {
        Self {
            name,
            kept,
            user: None,
            subject: false,
            erasure: Erasure::Nobodys,
            withheld: &[],
        }
    }

    /// A backup holds its rows.
    const fn kept(name: &'static str) -> Self {
        Self::new(name, true)
    }

    /// A backup is without its rows: they mean something to running bridges only.
    const fn left_out(name: &'static str) -> Self {
        Self::new(name, false)
    }

    /// Rows are about the person whose id is in this column.
    const fn of_user(mut self, column: &'static str) -> Self {
        self.user = Some(column);
        self
    }

    /// Rows are about the person whom `issuer` and `subject` name.
    const fn of_subject(mut self) -> Self {
        self.subject = true;
        self
    }

    const fn deleted(mut self) -> Self {
        self.erasure = Erasure::Deletes;
        self
    }

    const fn stays(mut self, why: &'static str) -> Self {
        self.erasure = Erasure::Keeps(why);
        self
    }

    const fn without(mut self, columns: &'static [&'static str]) -> Self {
        self.withheld = columns;
        self
    }

    /// Whether rows may be about a person.
    #[must_use]
    pub const fn is_personal(&self) -> bool {
        self.user.is_some() || self.subject
    }
}

/// Who is referred to stands before who refers: rows are restored in this order and deleted in the
/// opposite one.
pub const TABLES: &[Table] = &[
    Table::kept("counters"),
    Table::kept("users").of_user("id").deleted(),
    Table::kept("accounts").of_user("user_id").deleted(),
    Table::kept("sessions")
        .of_user("user_id")
        .deleted()
        .without(&["sealed"]),
    Table::kept("tombstones").of_subject().stays(
        "a sign-in that was ended must not come back by itself; they fall by themselves (session.tombstone)",
    ),
    Table::kept("memberships").of_user("user_id").deleted(),
    Table::kept("seat_counts"),
    Table::left_out("revocations")
        .of_user("user_id")
        .of_subject()
        .stays("replicas read them in order, without gaps; they go after 30 days"),
    // Answers to requests that came twice: for a day, and of no use to a store of another day. What
    // one says of a person who is erased goes with them (`person`).
    Table::left_out("claims"),
    // A restore revokes the key that signed them.
    Table::left_out("revoked_tokens"),
    Table::kept("signing_keys"),
    Table::kept("secrets"),
    Table::kept("bots"),
    // What runs in a backup waits again once it is restored.
    Table::kept("jobs").of_user("user_id").deleted(),
    // What waited in a store of another day is planned anew; they name people by the directory's ids.
    Table::left_out("plans"),
    // The next look is anew.
    Table::left_out("app_looks"),
    Table::kept("directory_sources"),
    Table::kept("directory_groups"),
    // A word that turns somebody away stays, emptied: without it they would be let in as a stranger.
    Table::kept("directory_people").of_subject().deleted(),
    Table::kept("directory_aliases").of_subject().deleted(),
    Table::kept("scim_resources").of_subject().deleted(),
    // Of the resource, and gone with it.
    Table::kept("scim_values"),
    Table::kept("scim_members"),
    Table::kept("audit_head"),
    Table::kept("audit_records").of_user("user_id").stays(
        "a record of the audit trail never changes; it names people by id (with [audit] email also by address), and goes after [audit] keep",
    ),
    Table::kept("audit_marks"),
];

/// The table of this name.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}
