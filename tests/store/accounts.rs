//! Accounts.

use crate::bed::{Bed, T0, app, at, by, remote};
use auth_manager::store::{Account, AccountFilter, AccountState, StoreError};
use auth_manager::types::{AppId, UserId};

pub(crate) async fn an_intent_is_recorded_once(bed: Bed) {
    let user = bed.person("alice").await;
    let first = bed.a.begin_account(&app(), user.id, T0).await.unwrap();
    assert_eq!(first.state, AccountState::Intent);
    assert_eq!((first.remote.as_ref(), first.settled), (None, false));
    let again = bed.b.begin_account(&app(), user.id, at(9)).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(bed.b.account(&app(), user.id).await.unwrap(), Some(first));
    let wiki = AppId::new("wiki").unwrap();
    assert_eq!(bed.b.account(&wiki, user.id).await.unwrap(), None);
}

pub(crate) async fn a_write_needs_the_version_that_was_read(bed: Bed) {
    let user = bed.person("alice").await;
    let read = bed.a.begin_account(&app(), user.id, T0).await.unwrap();
    let change = Account {
        state: AccountState::Linked,
        remote: Some(remote("r1")),
        username: Some("alice".into()),
        detail: "made".into(),
        password_version: 2,
        memo: "d".into(),
        settled: true,
        updated_at: at(3),
        ..read.clone()
    };
    let saved = bed.a.save_account(&change, &by()).await.unwrap();
    assert_eq!(saved.version, read.version + 1);
    let expected = Account {
        version: saved.version,
        ..change.clone()
    };
    assert_eq!(saved, expected);
    assert_eq!(
        bed.b
            .account_by_remote(&app(), &remote("r1"))
            .await
            .unwrap(),
        Some(expected)
    );
    assert!(matches!(
        bed.b.save_account(&change, &by()).await,
        Err(StoreError::Changed)
    ));
    let unknown = Account {
        id: auth_manager::store::new_account_id(),
        ..saved
    };
    assert!(matches!(
        bed.b.save_account(&unknown, &by()).await,
        Err(StoreError::Changed)
    ));
}

pub(crate) async fn a_remote_id_has_one_account_in_an_app(bed: Bed) {
    let (_, alices) = bed.member("alice").await;
    let bob = bed.person("bob").await;
    let mut bobs = bed.a.begin_account(&app(), bob.id, T0).await.unwrap();
    bobs.state = AccountState::Linked;
    bobs.remote = alices.remote.clone();
    let refused = bed.b.save_account(&bobs, &by()).await;
    assert!(
        matches!(refused, Err(StoreError::Taken("remote id"))),
        "{refused:?}"
    );
    let stored = bed.a.account(&app(), bob.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.remote), (AccountState::Intent, None));
    // The same id in another app is another account.
    let wiki = AppId::new("wiki").unwrap();
    let mut elsewhere = bed.a.begin_account(&wiki, bob.id, T0).await.unwrap();
    elsewhere.remote = alices.remote.clone();
    bed.a.save_account(&elsewhere, &by()).await.unwrap();
}

pub(crate) async fn a_linked_account_names_its_remote(bed: Bed) {
    let user = bed.person("alice").await;
    let mut account = bed.a.begin_account(&app(), user.id, T0).await.unwrap();
    account.state = AccountState::Linked;
    let refused = bed.a.save_account(&account, &by()).await;
    assert!(
        matches!(refused, Err(StoreError::Inconsistent(_))),
        "{refused:?}"
    );
}

pub(crate) async fn accounts_are_found_by_what_they_are(bed: Bed) {
    let (alice, linked) = bed.member("alice").await;
    let wiki = AppId::new("wiki").unwrap();
    let intent = bed.a.begin_account(&wiki, alice.id, T0).await.unwrap();
    let find =
        async |filter: AccountFilter| -> Vec<Account> { bed.b.accounts(&filter).await.unwrap() };
    let any = AccountFilter::default;
    let mut both = vec![linked.clone(), intent.clone()];
    both.sort_by_key(|account| account.id);
    assert_eq!(find(any()).await, both);
    assert_eq!(
        find(AccountFilter {
            after: Some(both[0].id),
            ..any()
        })
        .await,
        both[1..]
    );
    assert_eq!(find(AccountFilter { limit: 1, ..any() }).await, both[..1]);
    assert_eq!(
        find(AccountFilter {
            app: Some(wiki),
            ..any()
        })
        .await,
        std::slice::from_ref(&intent)
    );
    let state = Some(AccountState::Linked);
    assert_eq!(
        find(AccountFilter {
            state,
            user: Some(alice.id),
            ..any()
        })
        .await,
        [linked]
    );
    assert!(
        find(AccountFilter {
            user: Some(UserId::generate()),
            ..any()
        })
        .await
        .is_empty()
    );
}

pub(crate) async fn an_account_needs_a_user(bed: Bed) {
    let refused = bed.a.begin_account(&app(), UserId::generate(), T0).await;
    assert!(
        matches!(refused, Err(StoreError::Inconsistent(_))),
        "{refused:?}"
    );
}
