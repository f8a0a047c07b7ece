//! Another mapping on SIGHUP: whoever is there already gets, and loses, what it says.

use super::in_sales;
use crate::support::company::{Company, MEMBER, Terms};
use crate::support::eventually;
use auth_manager::demo::mattermost::UserSnapshot;

async fn reloaded(company: &Company, change: impl Fn(&str) -> String) {
    let path = company.world.bridge.config();
    let text = std::fs::read_to_string(&path).expect("our own file");
    let changed = change(&text);
    assert_ne!(changed, text);
    std::fs::write(&path, changed).expect("our own file");
    let says = "configuration read again";
    let lines = || company.world.bridge.output().matches(says).count();
    let before = lines();
    company.world.bridge.hang_up();
    eventually(says, || {
        let now = lines();
        async move { (now > before).then_some(()) }
    })
    .await;
}

fn in_crew(user: &UserSnapshot) -> bool {
    user.teams.contains(&"crew".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_that_is_added_and_taken_out_reaches_who_is_there_already() {
    let company = Company::start(Terms::default()).await;
    company.world.mattermost.create_team("crew");
    company.authentik.create_group("crew");
    let alice = company.hire("alice", &[MEMBER, &["sales", "crew"]].concat());
    let bob = company.hire("bob", MEMBER);
    company.account(&alice, "the account", in_sales).await;
    company.account(&bob, "the account", |_| true).await;
    company.comes_in(&alice).await;
    company.quiet().await;
    company.authentik.lose_hooks(true);
    let added = "[[apps.provision.groups]]\ngroup = \"crew\"\nteam = \"crew\"\n";
    let first = "[[apps.provision.groups]]\ngroup = \"sales\"\nteam = \"sales\"\n";
    reloaded(&company, |text| {
        text.replacen(first, &format!("{added}{first}"), 1)
    })
    .await;
    company.account(&alice, "the new team", in_crew).await;
    assert_eq!(company.settled().await, "");
    assert!(!company.snapshot(&bob).is_some_and(|user| in_crew(&user)));

    // Taken out again, what it gave goes, and nothing else.
    reloaded(&company, |text| text.replacen(added, "", 1)).await;
    let without = |user: &UserSnapshot| !in_crew(user);
    let left = company.account(&alice, "the new team's end", without).await;
    assert!(in_sales(&left) && left.is_active());
    company.finish().await;
}

/// A rule that shuts somebody out on reload: refused at once, the account after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_narrowed_ends_accounts_of_those_it_shuts_out() {
    let company = Company::start(Terms::default()).await;
    let alice = company.hire("alice", &[MEMBER, &["sales"]].concat());
    let bob = company.hire("bob", MEMBER);
    company.account(&alice, "the account", in_sales).await;
    company.account(&bob, "the account", |_| true).await;
    let mut stays = company.comes_in(&alice).await;
    let mut leaves = company.comes_in(&bob).await;
    company.quiet().await;
    company.authentik.lose_hooks(true);
    let narrower =
        |text: &str| text.replacen("any_of = [\"mattermost-users\"]", "any_of = [\"sales\"]", 1);
    reloaded(&company, narrower).await;
    company.is_refused(&mut leaves, "access.not_granted").await;
    company
        .account(&bob, "the deactivation", super::is_gone)
        .await;
    assert_eq!(stays.open("/").await.status, 200);
    assert!(
        company
            .snapshot(&alice)
            .is_some_and(|user| user.is_active())
    );
    company.finish().await;
}
