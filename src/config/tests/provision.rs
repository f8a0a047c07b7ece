//! `[apps.provision]`: what is taken, and what refuses to start.

use super::*;
use crate::types::MembershipKind;

impl House {
    fn provision(&self, text: &str) -> Result<ProvisionConfig, ConfigErrors> {
        let config = self.load(&with_store(&format!("{MINIMAL}\n{text}")))?;
        Ok(config.apps[0].provision.clone())
    }

    fn provision_mistake(&self, text: &str, key: &str) -> ConfigError {
        let errors = self.provision(text).expect_err(text).0;
        assert_eq!(errors.len(), 1, "{text}: {errors:#?}");
        assert!(errors[0].key.ends_with(key), "{text}: {}", errors[0].key);
        assert!(!errors[0].remedy.is_empty(), "{text}");
        errors[0].clone()
    }
}

#[test]
fn provisioning_has_the_documented_defaults() {
    let house = House::new();
    let whole = house.provision("").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(whole, ProvisionConfig::default());
    assert_eq!(whole.when, ProvisionWhen::OnSignIn);
    assert!(whole.withdraw && !whole.deactivate.administrators && !whole.deactivate.memberships);
    assert_eq!(whole.deactivate.grace, Duration::ZERO);
    assert_eq!(whole.deactivate.bots, BotsPolicy::Disable);
    assert_eq!((whole.seats.warn_at, whole.seats.reserve), (90, 0));
    assert_eq!(whole.seats.idle_after, Duration::from_secs(90 * 86_400));
    assert_eq!(whole.seats.grace, Duration::from_secs(7 * 86_400));
}

#[test]
fn provisioning_is_taken_as_written() {
    let house = House::new();
    let text = r#"
[apps.provision]
when = "on-assignment"
withdraw = false
[apps.provision.deactivate]
grace = "2d"
bots = "hand-over"
bots_to = "alice"
memberships = true
administrators = true
[apps.provision.seats]
warn_at = 80
reserve = 5
idle_after = "30d"
grace = "1d"
[[apps.provision.groups]]
group = "sales"
team = "sales"
channels = ["deals"]
channel_admin = true
team_admin = true
[[apps.provision.groups]]
group = "admins"
group_id = "5F2C0D36-0001-4000-8000-000000000001"
system_role = "system_admin"
"#;
    let got = house.provision(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(got.when, ProvisionWhen::OnAssignment);
    assert!(!got.withdraw && got.deactivate.memberships && got.deactivate.administrators);
    assert_eq!(got.deactivate.bots, BotsPolicy::HandOver("alice".into()));
    assert_eq!((got.seats.warn_at, got.seats.reserve), (80, 5));
    let [sales, admins] = got.groups.as_slice() else {
        panic!("two of them");
    };
    let kinds: Vec<_> = sales.gives.iter().map(|(k, n)| (*k, n.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (MembershipKind::Team, "sales"),
            (MembershipKind::Channel, "sales/deals"),
            (MembershipKind::ChannelAdmin, "sales/deals"),
            (MembershipKind::TeamAdmin, "sales"),
        ]
    );
    assert!(sales.group.is("anything", "sales") && !sales.group.is("anything", "Sales"));
    // With an id the name says nothing: it may be another group's tomorrow.
    let id = "5f2c0d36-0001-4000-8000-000000000001";
    assert!(admins.group.is(id, "renamed") && !admins.group.is("other", "admins"));
    assert_eq!(
        admins.gives,
        [(MembershipKind::SystemRole, "system_admin".to_owned())]
    );
}

#[test]
fn provisioning_that_is_unsafe_or_means_nothing_refuses_to_start() {
    let house = House::new();
    let of = |group: &str| format!("[[apps.provision.groups]]\n{group}\n");
    for (text, key) in [
        (of("team = \"sales\""), "group"),
        (of("group = \"a\""), ""),
        (of("group = \"a\"\nteam = \"Sales\""), "team"),
        (
            of("group = \"a\"\nteam = \"sales\"\nchannels = [\"De als\"]"),
            "channels",
        ),
        (
            of("group = \"a\"\nteam = \"sales\"\nchannel_admin = true"),
            "channel_admin",
        ),
        (of("group_id = \" \"\nteam = \"sales\""), "group_id"),
        (
            of("group = \"a\"\nsystem_role = \"system_admin\""),
            "system_role",
        ),
        (
            of("group_id = \"x\"\nsystem_role = \"system_manager\""),
            "system_role",
        ),
        (
            "[apps.provision.deactivate]\nbots = \"hand-over\"\n".into(),
            "bots_to",
        ),
        (
            "[apps.provision.deactivate]\nbots_to = \"alice\"\n".into(),
            "bots_to",
        ),
        ("[apps.provision.seats]\nwarn_at = 101\n".into(), "warn_at"),
        ("[apps.provision]\nwhen = \"always\"\n".into(), "when"),
    ] {
        house.provision_mistake(&text, key);
    }
    let delete = house.provision_mistake("[apps.provision.deactivate]\ndelete = true\n", "delete");
    assert!(delete.problem.contains("everything the person wrote"));
}
