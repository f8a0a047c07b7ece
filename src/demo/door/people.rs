//! The invented people of the demo.

/// Group that the demo's access rule asks for before anything else: who lacks it is *pending*.
pub const GROUP_VALIDATED: &str = "validated";
/// Group that opens the demo's app.
pub const GROUP_MEMBERS: &str = "mattermost-users";
/// Group of the demo's administrators.
pub const GROUP_ADMINS: &str = "mattermost-admins";

/// Someone whom the identity provider knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The immutable subject: Pomerium's user id.
    pub sub: String,
    /// Display name; may be empty.
    pub name: String,
    /// Address; may be empty.
    pub email: String,
    /// `email_verified`; `None`: the provider does not say.
    pub email_verified: Option<bool>,
    /// `preferred_username`; `None`: the provider does not say.
    pub username: Option<String>,
    /// Groups, in the provider's order.
    pub groups: Vec<String>,
    /// One line for the chooser: what this person is there to show.
    pub note: String,
}

impl Person {
    /// A person with a verified address at `example.test`, and a subject made from `number`.
    #[must_use]
    pub fn new(number: u32, username: &str, name: &str, groups: &[&str], note: &str) -> Self {
        Self {
            sub: format!("a0000000-0000-4000-8000-{number:012}"),
            name: name.into(),
            email: format!("{username}@example.test"),
            email_verified: Some(true),
            username: Some(username.into()),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            note: note.into(),
        }
    }
}

/// A validated member.
#[must_use]
pub fn alice() -> Person {
    let groups = [GROUP_VALIDATED, GROUP_MEMBERS];
    Person::new(1, "alice", "Alice Martin", &groups, "a member: gets in")
}

/// A validated member who is also an administrator.
#[must_use]
pub fn bob() -> Person {
    let groups = [GROUP_VALIDATED, GROUP_MEMBERS, GROUP_ADMINS];
    let note = "a member of the administrators' group: gets in";
    Person::new(2, "bob", "Bob Admin", &groups, note)
}

/// Someone who may not come in before being validated.
#[must_use]
pub fn paul() -> Person {
    let note = "not validated yet: sees who to ask";
    Person::new(3, "paul", "Paul Pending", &[GROUP_MEMBERS], note)
}

/// Someone validated who was not given this app.
#[must_use]
pub fn nora() -> Person {
    let note = "validated, but without the app's group: no access";
    Person::new(4, "nora", "Nora Nogroup", &[GROUP_VALIDATED], note)
}

/// Someone who has every group and whom auth-manager holds for disabled.
#[must_use]
pub fn denis() -> Person {
    let groups = [GROUP_VALIDATED, GROUP_MEMBERS];
    let note = "disabled in auth-manager: turned away";
    Person::new(5, "denis", "Denis Disabled", &groups, note)
}

/// All five, in the chooser's order.
#[must_use]
pub fn invented_people() -> Vec<Person> {
    vec![alice(), bob(), paul(), nora(), denis()]
}
