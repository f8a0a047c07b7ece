//! What SCIM connections have put here.

use crate::bed::{Bed, T0, at, by};
use auth_manager::api::scim::resource::{Said, draft};
use auth_manager::config::{ScimBrake, ScimConfig, ScimPatchAnswer, ScimSubject};
use auth_manager::store::{
    SCIM_EXTERNAL_ID, SCIM_NAME, ScimAt, ScimDraft, ScimKind, ScimMembers, ScimResource,
    ScimSearch, Store, StoreError,
};
use auth_manager::types::{IssuerId, SourceId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub(crate) fn connection(id: &str) -> ScimConfig {
    ScimConfig {
        id: SourceId::new(id).unwrap(),
        clients: Vec::new(),
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: ScimSubject::ExternalId,
        strict: false,
        reread: None,
        patch_answer: ScimPatchAnswer::Resource,
        page: 200,
        body: 1 << 20,
        patch_operations: 1000,
        bulk_operations: 100,
        brake: ScimBrake {
            number: 10,
            share: 20,
            window: Duration::from_secs(3600),
        },
    }
}

pub(crate) fn prepared(kind: ScimKind, id: &str, body: Value) -> ScimDraft {
    let said = Said::read(kind, body, false).unwrap();
    draft(&said, id, &connection("idp"))
}

pub(crate) async fn make(
    store: &Arc<dyn Store>,
    connection: &str,
    kind: ScimKind,
    body: Value,
    members: &[String],
) -> Result<ScimResource, StoreError> {
    let id = Uuid::now_v7().to_string();
    let draft = prepared(kind, &id, body);
    let connection = SourceId::new(connection).unwrap();
    let at = ScimAt {
        connection: &connection,
        kind,
        id: &id,
    };
    store.scim_create(at, &draft, members, T0, &by()).await
}

async fn user(store: &Arc<dyn Store>, name: &str) -> ScimResource {
    let body = json!({ "userName": name, "externalId": format!("ext-{name}") });
    make(store, "idp", ScimKind::User, body, &[]).await.unwrap()
}

async fn group(store: &Arc<dyn Store>, name: &str, members: &[&ScimResource]) -> ScimResource {
    let members: Vec<_> = members.iter().map(|member| member.id.clone()).collect();
    let body = json!({ "displayName": name });
    make(store, "idp", ScimKind::Group, body, &members)
        .await
        .unwrap()
}

fn idp() -> SourceId {
    SourceId::new("idp").unwrap()
}

/// Tells all that is due; gives their ids.
async fn tell(store: &Arc<dyn Store>) -> BTreeSet<String> {
    let due = store.scim_due(&idp(), 1000).await.unwrap();
    for resource in &due {
        assert!(resource.is_due());
        store.scim_told(&resource.id, resource.word).await.unwrap();
    }
    assert_eq!(store.scim_due(&idp(), 1000).await.unwrap(), Vec::new());
    due.into_iter().map(|resource| resource.id).collect()
}

fn ids(all: &[&ScimResource]) -> BTreeSet<String> {
    all.iter().map(|resource| resource.id.clone()).collect()
}

pub(crate) async fn one_of_many_same_users_is_made(bed: Bed) {
    let mut tries = Vec::new();
    for n in 0..12 {
        let store = if n % 2 == 0 {
            bed.a.clone()
        } else {
            bed.b.clone()
        };
        let body = json!({ "userName": if n % 3 == 0 { "Alice" } else { "alice" } });
        tries.push(tokio::spawn(async move {
            make(&store, "idp", ScimKind::User, body, &[]).await
        }));
    }
    let mut made = 0;
    for one in tries {
        match one.await.unwrap() {
            Ok(_) => made += 1,
            Err(StoreError::Taken(what)) => assert_eq!(what, SCIM_NAME),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 1);
}

pub(crate) async fn an_external_id_is_one_resource_of_its_kind(bed: Bed) {
    let body = |name: &str| json!({ "userName": name, "externalId": "x" });
    make(&bed.a, "idp", ScimKind::User, body("a"), &[])
        .await
        .unwrap();
    let second = make(&bed.a, "idp", ScimKind::User, body("b"), &[]).await;
    assert!(matches!(second, Err(StoreError::Taken(what)) if what == SCIM_EXTERNAL_ID));
    // Case counts, the kind and the connection too.
    let other = json!({ "userName": "c", "externalId": "X" });
    make(&bed.a, "idp", ScimKind::User, other, &[])
        .await
        .unwrap();
    let group = json!({ "displayName": "a", "externalId": "x" });
    make(&bed.a, "idp", ScimKind::Group, group, &[])
        .await
        .unwrap();
    make(&bed.a, "other", ScimKind::User, body("a"), &[])
        .await
        .unwrap();
}

pub(crate) async fn a_resource_is_written_as_it_was_read_or_not_at_all(bed: Bed) {
    let read = user(&bed.a, "alice").await;
    let body = json!({ "userName": "alice", "title": "one", "active": false });
    let draft = prepared(ScimKind::User, &read.id, body);
    let nobody = ScimMembers::default();
    let written = bed
        .a
        .scim_update(&read, &draft, &nobody, at(5), &by())
        .await
        .unwrap();
    assert_eq!((written.version, written.active), (2, false));
    assert_eq!((written.created_at, written.updated_at), (T0, at(5)));
    let again = bed
        .b
        .scim_update(&read, &draft, &nobody, at(6), &by())
        .await;
    assert!(matches!(again, Err(StoreError::Changed)));
    let gone = bed.b.scim_delete(&read, at(6), &by()).await;
    assert!(matches!(gone, Err(StoreError::Changed)));
    assert_eq!(
        bed.b
            .scim_resource(&idp(), ScimKind::User, &read.id)
            .await
            .unwrap(),
        Some(written)
    );
    // The other kind has no such resource.
    let other = bed.b.scim_resource(&idp(), ScimKind::Group, &read.id).await;
    assert_eq!(other.unwrap(), None);
}

pub(crate) async fn what_is_deleted_is_gone_but_for_its_last_word(bed: Bed) {
    let alice = user(&bed.a, "alice").await;
    let staff = group(&bed.a, "staff", &[&alice]).await;
    tell(&bed.a).await;
    bed.a.scim_delete(&alice, at(9), &by()).await.unwrap();
    let found = bed.b.scim_resource(&idp(), ScimKind::User, &alice.id).await;
    assert_eq!(found.unwrap(), None);
    let members = bed
        .b
        .scim_members(&idp(), std::slice::from_ref(&staff.id))
        .await
        .unwrap();
    assert_eq!(members, Vec::new());
    let search = ScimSearch {
        kinds: vec![ScimKind::User],
        limit: 10,
        ..ScimSearch::default()
    };
    assert_eq!(bed.b.scim_search(&idp(), &search).await.unwrap().total, 0);
    // Its name is free; the directory is still to be told who went.
    user(&bed.a, "alice").await;
    let due = bed.b.scim_due(&idp(), 10).await.unwrap();
    assert_eq!(due[0].id, alice.id, "who went comes first");
    assert_eq!(due[0].deleted_at, Some(at(9)));
    assert!(due[0].body.contains("ext-alice"));
    tell(&bed.a).await;
    let kept = bed
        .b
        .scim_to_tell(&idp(), &alice.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.body, "{}", "what it said is forgotten once it is told");
}

pub(crate) async fn t31_no_connection_finds_anothers_resources(bed: Bed) {
    let ours = user(&bed.a, "alice").await;
    let other = SourceId::new("other").unwrap();
    for kind in ScimKind::ALL {
        let found = bed.a.scim_resource(&other, kind, &ours.id).await.unwrap();
        assert_eq!(found, None);
    }
    assert_eq!(bed.a.scim_to_tell(&other, &ours.id).await.unwrap(), None);
    let search = ScimSearch {
        kinds: ScimKind::ALL.to_vec(),
        limit: 10,
        ..ScimSearch::default()
    };
    assert_eq!(bed.a.scim_search(&other, &search).await.unwrap().total, 0);
    // A group of another connection that names our user's id has nobody of ours in it.
    let members = [ours.id.clone()];
    let body = json!({ "displayName": "admins" });
    tell(&bed.a).await;
    let theirs = make(&bed.a, "other", ScimKind::Group, body, &members)
        .await
        .unwrap();
    assert_eq!(
        bed.a.scim_groups_of(&idp(), &members).await.unwrap(),
        Vec::new()
    );
    assert!(tell(&bed.a).await.is_empty(), "nobody of ours is due");
    let edges = bed.a.scim_members(&other, &[theirs.id]).await.unwrap();
    assert_eq!((edges.len(), edges[0].kind), (1, None));
}

pub(crate) async fn whoever_a_membership_concerns_is_due(bed: Bed) {
    let (alice, bob) = (user(&bed.a, "alice").await, user(&bed.a, "bob").await);
    let inner = group(&bed.a, "inner", &[&alice]).await;
    let outer = group(&bed.a, "outer", &[&inner]).await;
    tell(&bed.a).await;

    // Who is below a group that joins another is in that one too.
    let top = group(&bed.a, "top", &[&outer]).await;
    assert_eq!(tell(&bed.a).await, ids(&[&alice, &inner, &outer, &top]));
    let of = bed
        .b
        .scim_groups_of(&idp(), std::slice::from_ref(&alice.id))
        .await
        .unwrap();
    let mut of: Vec<_> = of
        .iter()
        .map(|edge| (edge.group.clone(), edge.direct))
        .collect();
    of.sort();
    let mut wanted = vec![
        (inner.id.clone(), true),
        (outer.id.clone(), false),
        (top.id.clone(), false),
    ];
    wanted.sort();
    assert_eq!(of, wanted);

    // A circle ends.
    let read = bed
        .a
        .scim_resource(&idp(), ScimKind::Group, &inner.id)
        .await;
    let read = read.unwrap().unwrap();
    let draft = prepared(
        ScimKind::Group,
        &inner.id,
        json!({ "displayName": "inner" }),
    );
    let change = ScimMembers {
        add: vec![top.id.clone(), bob.id.clone()],
        remove: vec![alice.id.clone()],
    };
    bed.a
        .scim_update(&read, &draft, &change, at(1), &by())
        .await
        .unwrap();
    assert_eq!(
        tell(&bed.a).await,
        ids(&[&alice, &bob, &inner, &outer, &top])
    );
    let of = bed
        .b
        .scim_groups_of(&idp(), std::slice::from_ref(&alice.id))
        .await
        .unwrap();
    assert_eq!(of, Vec::new());

    // A group that goes takes its memberships with it.
    let outer = bed
        .a
        .scim_resource(&idp(), ScimKind::Group, &outer.id)
        .await;
    let outer = outer.unwrap().unwrap();
    bed.a.scim_delete(&outer, at(2), &by()).await.unwrap();
    let told = tell(&bed.a).await;
    assert!(told.contains(&bob.id) && told.contains(&inner.id));
    let of = bed
        .b
        .scim_groups_of(&idp(), std::slice::from_ref(&bob.id))
        .await
        .unwrap();
    assert_eq!(of.len(), 1, "inner alone");
}

pub(crate) async fn a_word_told_while_it_changes_is_due_again(bed: Bed) {
    let alice = user(&bed.a, "alice").await;
    let draft = prepared(ScimKind::User, &alice.id, json!({ "userName": "alice2" }));
    let nobody = ScimMembers::default();
    bed.b
        .scim_update(&alice, &draft, &nobody, at(1), &by())
        .await
        .unwrap();
    // Somebody tells the former word.
    bed.a.scim_told(&alice.id, alice.word).await.unwrap();
    let due = bed.a.scim_due(&idp(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert!(due[0].body.contains("alice2"));
    let later = due[0].word;
    bed.a.scim_told(&alice.id, later).await.unwrap();
    // And it is never told back.
    bed.a.scim_told(&alice.id, alice.word).await.unwrap();
    assert!(bed.a.scim_due(&idp(), 10).await.unwrap().is_empty());
}

pub(crate) async fn who_went_lately_is_counted(bed: Bed) {
    for n in 0..4 {
        user(&bed.a, &format!("user{n}")).await;
    }
    group(&bed.a, "staff", &[]).await;
    let page = ScimSearch {
        kinds: vec![ScimKind::User],
        limit: 10,
        ..ScimSearch::default()
    };
    let all = bed.a.scim_search(&idp(), &page).await.unwrap().resources;
    bed.a.scim_delete(&all[0], at(100), &by()).await.unwrap();
    let off = json!({ "userName": "user1", "active": false });
    let draft = prepared(ScimKind::User, &all[1].id, off);
    let nobody = ScimMembers::default();
    let off = bed
        .a
        .scim_update(&all[1], &draft, &nobody, at(200), &by())
        .await
        .unwrap();
    let count = |since| {
        let store = bed.b.clone();
        async move { store.scim_count(&idp(), since).await.unwrap() }
    };
    let counted = count(at(0)).await;
    assert_eq!(
        (
            counted.active,
            counted.inactive,
            counted.groups,
            counted.ended
        ),
        (2, 1, 1, 2)
    );
    assert_eq!(count(at(150)).await.ended, 1);
    // Who comes back has not gone.
    let on = prepared(ScimKind::User, &off.id, json!({ "userName": "user1" }));
    bed.a
        .scim_update(&off, &on, &nobody, at(300), &by())
        .await
        .unwrap();
    assert_eq!(count(at(0)).await.ended, 1);
}
