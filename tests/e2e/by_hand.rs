//! What an operator, or a CI job of theirs, does by hand: validate a person, so that their account is
//! there before they first come; have a directory read again; invite people. With a stand-in Authentik
//! whose permissions are those of a real one.

use crate::support::bridge::Settings;
use crate::support::eventually;
use crate::support::services::{Peer, Reply, Services, Setup};
use auth_manager::demo::authentik::{NewPerson, Options, StandIn};
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person, alice};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const READER: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];
/// What the writer's role has everywhere; the rest it has on the listed groups alone.
const WRITER: [&str; 5] = [
    "authentik_core.view_user",
    "authentik_flows.view_flow",
    "authentik_stages_invitation.view_invitation",
    "authentik_stages_invitation.add_invitation",
    "authentik_stages_invitation.delete_invitation",
];
const INVITATIONS: &str = "/api/v1/invitations";

struct House {
    authentik: StandIn,
    services: Services,
    /// A CI job: `validate` alone.
    ci: Peer,
    /// Who invites: `invitations` alone.
    hr: Peer,
    /// Has every other scope.
    nosy: Peer,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl House {
    async fn new() -> Self {
        let authentik = StandIn::new(Options::default());
        let groups = [GROUP_VALIDATED, GROUP_MEMBERS, "helpers"];
        let groups = groups.map(|name| (name, authentik.create_group(name)));
        authentik.create_flow("enrol", "enrollment");
        let (_, read) = authentik.reader("bridge-reader", &READER);
        let (writer, write) = authentik.reader("bridge-writer", &[]);
        let on =
            |permission: &'static str| groups.iter().map(move |(_, id)| (permission, id.as_str()));
        let objects: Vec<_> = on("authentik_core.view_group")
            .chain(on("authentik_core.add_user_to_group"))
            .collect();
        authentik.set_permissions(writer, &WRITER, &objects);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (served, until) = (authentik.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, until).await });
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let listed: Vec<_> = groups
            .iter()
            .map(|(name, id)| format!("{{ name = {name:?}, id = {id:?} }}"))
            .collect();
        let clients = format!(
            "[[clients]]\nid = \"ci\"\nscopes = [\"validate\"]\ncertificate_names = [\"ci.internal\"]\n\
             [[clients]]\nid = \"hr\"\nscopes = [\"invitations\"]\ncertificate_names = [\"hr.internal\"]\n\
             [[clients]]\nid = \"nosy\"\nscopes = [\"users:read\", \"users:write\", \"sessions\", \"admin\"]\n\
             certificate_names = [\"nosy.internal\"]\n\
             [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{address}\"\n\
             token = {{ file = {:?} }}\n\
             [directories.reconcile]\nevery = \"1h\"\n\
             [directories.write]\ntoken = {{ file = {:?} }}\ngroups = [{}]\n\
             [directories.write.invitations]\nflow = \"enrol\"\nurl = \"https://id.example.test\"\n",
            secret("read.token", &read),
            secret("write.token", &write),
            listed.join(", "),
        );
        let mut services = Services::with(Setup {
            clients,
            listen: "rate = 1000\nburst = 1000".into(),
            settings: Settings {
                mattermost: "team = \"demo\"\n[apps.provision]\nwhen = \"on-assignment\"".into(),
                ..Settings::default()
            },
            ..Setup::default()
        })
        .await;
        // Whoever starts reads everybody once: what a test orders comes after that.
        let swept = |line: &str| line.contains("a directory was read whole").then_some(());
        let bridge = &mut services.world.bridge;
        bridge.line("the first sweep", swept).await;
        let taint = &services.world.taint;
        taint.private(&read);
        taint.private(&write);
        Self {
            authentik,
            ci: services.named(&["ci.internal"]),
            hr: services.named(&["hr.internal"]),
            nosy: services.named(&["nosy.internal"]),
            services,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    fn groups_of(&self, user: i64) -> Vec<String> {
        let shown = self.authentik.user(user).unwrap();
        let groups = shown["groups"].as_array().unwrap();
        let mut groups: Vec<_> = groups
            .iter()
            .map(|g| g.as_str().unwrap().to_owned())
            .collect();
        groups.sort();
        groups
    }

    fn ids(&self, names: &[&str]) -> Vec<String> {
        let mut ids: Vec<_> = names
            .iter()
            .map(|name| self.authentik.group_id(name))
            .collect();
        ids.sort();
        ids
    }

    /// The person as assertions name them.
    fn person(&self, pk: i64, username: &str) -> Person {
        Person {
            sub: self.authentik.uid(pk),
            username: Some(username.to_owned()),
            email: format!("{username}@example.test"),
            name: username.to_owned(),
            ..alice()
        }
    }

    async fn run(&self, arguments: &[&str]) -> Value {
        let output = self.services.world.run(arguments).await;
        serde_json::from_str(&output).unwrap_or_else(|e| panic!("{e}: {output}"))
    }

    /// What a command that must fail says.
    async fn fails(&self, arguments: &[&str]) -> String {
        let output = self.services.world.bridge.command(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn finish(self) {
        self.services.finish().await;
    }

    /// The same where nobody visited.
    async fn finish_unvisited(self) {
        self.services.world.finish_unvisited().await;
    }
}

async fn post(peer: &Peer, path: &str, body: Value) -> Reply {
    peer.post(path, &[], body.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ci_job_validates_somebody_and_their_account_is_there_before_they_first_come() {
    let house = House::new().await;
    let pk = house.authentik.create(&NewPerson::named("alice"));
    let order = json!({ "username": "alice", "app": "chat" });
    let tried = post(&house.ci, "/api/v1/validate?dry_run=true", order.clone()).await;
    assert_eq!(
        (tried.status, &tried.json()["changed"]),
        (200, &json!(true))
    );
    assert_eq!(house.groups_of(pk), Vec::<String>::new(), "only tried");

    let key = [("idempotency-key", "run-4711")];
    let send = || house.ci.post("/api/v1/validate", &key, order.to_string());
    let done = send().await;
    assert_eq!(done.status, 202, "{done:?}");
    assert_eq!(
        house.groups_of(pk),
        house.ids(&[GROUP_VALIDATED, GROUP_MEMBERS])
    );
    let again = send().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, done.text);

    // The job is followed, and then the account.
    let follow = done.json()["queued"]["follow"].as_str().unwrap().to_owned();
    eventually("the end of the job", || async {
        let job = house.ci.get(&follow).await;
        assert_eq!(job.status, 200, "{job:?}");
        (job.json()["state"] == "done").then_some(())
    })
    .await;
    let standing = eventually("the account", || async {
        let asked = post(&house.ci, "/api/v1/validate?dry_run=true", order.clone()).await;
        let asked = asked.json();
        (asked["apps"][0]["account"] == "linked").then_some(asked)
    })
    .await;
    assert_eq!(standing["changed"], false);
    let world = &house.services.world;
    let made = world.mattermost.user("alice").expect("before they came");
    let mut visitor = world.signed_in(house.person(pk, "alice")).await;
    assert_eq!(visitor.me().await["id"], made.id);

    let trail = world.trail().await;
    let ordered: Vec<_> = trail
        .iter()
        .filter(|body| body.contains("directory.group_ordered"))
        .collect();
    assert_eq!(ordered.len(), 2, "{trail:#?}");
    for body in ordered {
        assert!(
            body.contains("\"id\":\"ci\"") && body.contains("\"request\""),
            "{body}"
        );
        assert!(!body.contains("alice"), "{body}");
    }
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_validated_without_the_scope_or_into_a_group_that_gives_power() {
    let house = House::new().await;
    let pk = house.authentik.create(&NewPerson::named("mallory"));
    let whom = |groups: &[&str]| json!({ "username": "mallory", "groups": groups });
    let refused = async |peer: &Peer, path: &str, body: Value| {
        let reply = post(peer, path, body).await;
        (reply.status, reply.code())
    };
    for peer in [&house.nosy, &house.hr] {
        for path in ["/api/v1/validate", "/api/v1/sync"] {
            let said = refused(peer, path, whom(&[GROUP_VALIDATED])).await;
            assert_eq!(said, (403, "api.scope".to_owned()), "{path}");
        }
    }
    for peer in [&house.nosy, &house.ci] {
        let said = refused(peer, INVITATIONS, json!({})).await;
        assert_eq!(said, (403, "api.scope".to_owned()));
        assert_eq!(peer.get(INVITATIONS).await.status, 403);
    }
    // `validate` is no way to other jobs or to people.
    assert_eq!(house.ci.get("/api/v1/jobs").await.status, 403);
    assert_eq!(house.ci.get("/api/v1/users").await.status, 403);

    let not_allowed = (403, "directory.not_allowed".to_owned());
    for group in ["authentik Admins", "nothing"] {
        let said = refused(&house.ci, "/api/v1/validate", whom(&[group])).await;
        assert_eq!(said, not_allowed, "{group}");
    }
    // Listed, and an administrators' group since.
    house
        .authentik
        .set_parents("helpers", &["authentik Admins"]);
    let said = refused(
        &house.ci,
        "/api/v1/validate",
        whom(&[GROUP_VALIDATED, "helpers"]),
    )
    .await;
    assert_eq!(said, not_allowed);
    for (body, says) in [
        (json!({ "username": "nobody" }), (404, "api.not_found")),
        (json!({}), (422, "api.invalid")),
        (
            json!({ "username": "mallory", "id": "1" }),
            (422, "api.invalid"),
        ),
        (
            json!({ "username": "mallory", "app": "nowhere" }),
            (404, "api.not_found"),
        ),
        (
            json!({ "username": "bridge-writer" }),
            (409, "api.conflict"),
        ),
    ] {
        let said = refused(&house.ci, "/api/v1/validate", body.clone()).await;
        assert_eq!(said, (says.0, says.1.to_owned()), "{body}");
    }
    assert_eq!(house.groups_of(pk), Vec::<String>::new());
    let why = house
        .fails(&["users", "validate", "mallory", "--group", "helpers"])
        .await;
    assert!(why.contains("authentik Admins"), "{why}");
    assert_eq!(house.groups_of(pk), Vec::<String>::new());
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_follows_until_the_account_is_there_or_says_why_not() {
    let house = House::new().await;
    let bob = house.authentik.create(&NewPerson::named("bob"));
    let tried = house
        .run(&[
            "users",
            "validate",
            "bob",
            "--app",
            "chat",
            "--dry-run",
            "--json",
        ])
        .await;
    assert_eq!(tried["changed"], true);
    assert_eq!(house.groups_of(bob), Vec::<String>::new());
    let done = house
        .run(&[
            "users", "validate", "bob", "--app", "chat", "--wait", "--json",
        ])
        .await;
    assert_eq!(done["apps"][0]["account"], "linked", "{done}");
    let world = &house.services.world;
    assert!(world.mattermost.user("bob").is_some());
    let again = house
        .run(&[
            "users", "validate", "bob", "--app", "chat", "--wait", "--json",
        ])
        .await;
    assert_eq!(again["changed"], false);

    // One of the two groups is not enough for the app.
    house.authentik.create(&NewPerson::named("carol"));
    let why = house
        .fails(&[
            "users",
            "validate",
            "carol",
            "--group",
            "validated",
            "--app",
            "chat",
            "--wait",
        ])
        .await;
    assert!(why.contains("chat is not theirs"), "{why}");
    let dave = house.authentik.create(&NewPerson::named("dave"));
    house.authentik.set_active(dave, false);
    let why = house.fails(&["users", "validate", "dave"]).await;
    assert!(why.contains("disabled in the directory"), "{why}");
    house.finish_unvisited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_lost_webhook_left_inside_a_sync_puts_out() {
    let house = House::new().await;
    let pk = house.authentik.create(&NewPerson {
        groups: vec![GROUP_VALIDATED.into(), GROUP_MEMBERS.into()],
        ..NewPerson::named("alice")
    });
    let other = house.authentik.create(&NewPerson {
        groups: vec![GROUP_VALIDATED.into(), GROUP_MEMBERS.into()],
        ..NewPerson::named("bob")
    });
    let all = post(&house.ci, "/api/v1/sync", json!({ "all": true })).await;
    assert_eq!(all.status, 202, "{all:?}");
    let swept = house.run(&["sync", "--all", "--wait", "--json"]).await;
    assert_eq!(swept["items"][0]["directory"], "authentik");
    let world = &house.services.world;
    eventually("both accounts", || async {
        let both = ["alice", "bob"].map(|name| world.mattermost.user(name).is_some());
        (both == [true, true]).then_some(())
    })
    .await;
    let mut visitor = world.signed_in(house.person(pk, "alice")).await;
    let mut bystander = world.signed_in(house.person(other, "bob")).await;

    house.authentik.disable_silently(pk);
    assert_eq!(visitor.open("/").await.status, 200, "nobody has heard");
    let tried = house.run(&["sync", "alice", "--dry-run", "--json"]).await;
    assert_eq!(tried["items"][0]["person"], json!(pk.to_string()));
    assert_eq!(visitor.open("/").await.status, 200, "only tried");
    let one = post(&house.ci, "/api/v1/sync", json!({ "username": "alice" })).await;
    assert_eq!(one.status, 202, "{one:?}");
    eventually("the refusal", || {
        let mut visitor = visitor.clone();
        async move { (visitor.open("/").await.status == 403).then_some(()) }
    })
    .await;
    assert_eq!(bystander.open("/").await.status, 200);

    house.authentik.set_active(pk, true);
    house.run(&["sync", "alice", "--wait", "--json"]).await;
    eventually("the way back", || {
        let mut visitor = world.client(house.person(pk, "alice"));
        async move { (visitor.open("/").await.status == 200).then_some(()) }
    })
    .await;
    let unknown = house.fails(&["sync", "nobody"]).await;
    assert!(unknown.contains("knows nobody"), "{unknown}");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_an_invitation_is_made_listed_and_revoked_and_its_link_is_seen_once() {
    let house = House::new().await;
    let order = json!({ "label": "grace", "email": "grace@example.test" });
    let key = [("idempotency-key", "invite-grace")];
    let send = || house.hr.post(INVITATIONS, &key, order.to_string());
    let made = send().await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let link = made["link"].as_str().unwrap();
    let secret = link.strip_prefix("https://id.example.test/if/flow/enrol/?itoken=");
    let secret = secret.unwrap_or_else(|| panic!("{link}")).to_owned();
    let taint = &house.services.world.taint;
    taint.private(&secret);
    taint.private(&secret.replace('-', ""));
    let [kept] = house.authentik.invitations().try_into().unwrap();
    assert_eq!(
        (&kept["pk"], &kept["single_use"]),
        (&json!(secret), &json!(true))
    );
    assert!(kept["expires"].is_string(), "{kept}");

    // Sent again, it is the same invitation, and the link is not said again.
    let again = send().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["invitation"]["id"], made["invitation"]["id"]);
    assert!(
        !again.text.contains(&secret) && !again.text.contains("grace@"),
        "{again:?}"
    );
    assert_eq!(house.authentik.invitations().len(), 1);

    let id = made["invitation"]["id"].as_str().unwrap();
    let path = format!("{INVITATIONS}/{id}");
    let listed = house.hr.get(&format!("{INVITATIONS}?limit=1")).await;
    assert_eq!(listed.json()["items"][0]["id"], *id);
    let one = house.hr.get(&path).await;
    assert_eq!(
        (one.status, one.json()["email"].as_str()),
        (200, Some("grace@example.test"))
    );
    for reply in [&listed, &one] {
        assert!(!reply.text.contains(&secret), "{reply:?}");
    }
    let etag = one.header("etag").to_owned();
    let stale = [("if-match", "\"another\"")];
    let revoke = format!("{path}/revoke");
    let lost = house.hr.post(&revoke, &stale, "{}").await;
    assert_eq!((lost.status, lost.code()), (412, "api.precondition".into()));
    let tried = post(&house.hr, &format!("{revoke}?dry_run=true"), json!({})).await;
    assert_eq!(tried.status, 200);
    assert_eq!(house.authentik.invitations().len(), 1, "only tried");
    let done = house.hr.post(&revoke, &[("if-match", &etag)], "{}").await;
    assert_eq!(done.status, 200, "{done:?}");
    assert!(house.authentik.invitations().is_empty());
    assert_eq!(house.hr.post(&revoke, &[], "{}").await.status, 404);
    assert_eq!(house.hr.get(&path).await.status, 404);

    // More than is allowed is refused.
    for body in [
        json!({ "lifetime": 31_536_000 }),
        json!({ "email": "no address" }),
        json!({ "is_superuser": true }),
    ] {
        assert_eq!(
            post(&house.hr, INVITATIONS, body.clone()).await.status,
            422,
            "{body}"
        );
    }
    let several = post(&house.hr, INVITATIONS, json!({ "reusable": true })).await;
    assert_eq!(
        (several.status, several.code()),
        (403, "directory.not_allowed".into())
    );
    assert!(house.authentik.invitations().is_empty());

    // The same by command; what it prints is for whoever asked, so it is not looked through.
    let bridge = &house.services.world.bridge;
    let output = bridge
        .command(&["invitations", "create", "--for", "1h", "--json"])
        .await;
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let secret = made["link"].as_str().unwrap().rsplit('=').next().unwrap();
    taint.private(secret);
    let listed = house.run(&["invitations", "list", "--json"]).await;
    assert_eq!(listed[0]["id"], made["invitation"]["id"]);
    let id = listed[0]["id"].as_str().unwrap();
    house
        .run(&["invitations", "revoke", id, "--dry-run", "--json"])
        .await;
    assert_eq!(house.authentik.invitations().len(), 1);
    house.run(&["invitations", "revoke", id, "--json"]).await;
    assert!(house.authentik.invitations().is_empty());
    let trail = house.services.world.trail().await;
    for kind in ["invitation.ordered", "invitation.revoked"] {
        let of = trail.iter().filter(|body| body.contains(kind));
        assert_eq!(of.count(), 2, "{kind}: {trail:#?}");
    }
    house.finish().await;
}

impl House {
    /// What a service reads; it must be there.
    async fn read(&self, path: &str) -> Value {
        let reply = self.nosy.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    /// A job in this state, by where it is followed.
    async fn ends(&self, follow: &str, state: &str) -> Value {
        eventually(state, || async {
            let job = self.read(follow).await;
            (job["state"] == state).then_some(job)
        })
        .await
    }

    /// Asks for a plan; its id, once it is there.
    async fn proposed(&self) -> String {
        let asked = post(&self.nosy, PLANS, json!({ "directory": "authentik" })).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        let asked = asked.json()["items"][0].clone();
        let follow = asked["queued"]["follow"].as_str().expect("a job");
        self.ends(follow, "done").await;
        asked["plan"].as_str().expect("a plan").to_owned()
    }

    /// Approves of a plan; where its job is followed.
    async fn approved(&self, plan: &str) -> String {
        let one = format!("{PLANS}/{plan}");
        let tag = self.nosy.get(&one).await.header("etag").to_owned();
        let tagged = [("if-match", tag.as_str())];
        let reply = self
            .nosy
            .post(&format!("{one}/approve"), &tagged, "{}")
            .await;
        assert_eq!(reply.status, 202, "{reply:?}");
        format!("/api/v1/jobs/{}", reply.json()["job"].as_str().unwrap())
    }
}

const PLANS: &str = "/api/v1/plans";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_sees_what_a_sweep_would_do_and_has_just_that_done_or_nothing() {
    let house = House::new().await;
    let member = |name: &str| {
        house.authentik.create(&NewPerson {
            groups: vec![GROUP_VALIDATED.into(), GROUP_MEMBERS.into()],
            ..NewPerson::named(name)
        })
    };
    member("ann");
    let ben = member("ben");
    let app = &house.services.world.mattermost;

    let tried = post(&house.nosy, &format!("{PLANS}?dry_run=true"), json!({})).await;
    assert_eq!(tried.status, 200, "{tried:?}");
    assert_eq!(tried.json()["items"], json!([{ "directory": "authentik" }]));
    assert_eq!(post(&house.ci, PLANS, json!({})).await.status, 403);
    let nowhere = post(&house.nosy, PLANS, json!({ "directory": "nowhere" })).await;
    assert_eq!(
        (nowhere.status, nowhere.code()),
        (404, "api.not_found".into())
    );

    // Asked twice under one name it is asked once.
    let key = [("idempotency-key", "ask-1")];
    let ask = || house.nosy.post(PLANS, &key, "{}");
    let (asked, again) = (ask().await, ask().await);
    assert_eq!(asked.status, 202, "{asked:?}");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, asked.text);
    let asked = asked.json()["items"][0].clone();
    let follow = asked["queued"]["follow"].as_str().expect("a job");
    house.ends(follow, "done").await;
    let first = asked["plan"].as_str().expect("a plan").to_owned();

    let one = format!("{PLANS}/{first}");
    let plan = house.read(&one).await;
    assert_eq!(plan["state"], "proposed", "{plan}");
    assert_eq!(plan["by"], "nosy");
    assert_eq!(plan["summary"]["new"], 2, "{plan}");
    let page = house.read(&format!("{one}/people?limit=1")).await;
    assert_eq!(page["items"][0], plan["people"][0]);
    let next = page["next"].as_str().expect("another page");
    let rest = house.read(next).await;
    assert_eq!(rest["items"], json!([plan["people"][1]]));
    assert!(rest["next"].is_null(), "{rest}");
    let elsewhere = next.replace("/people?", "/groups?");
    let refused = house.nosy.get(&elsewhere).await;
    assert_eq!((refused.status, refused.code()), (400, "api.cursor".into()));
    assert_eq!(house.ci.get(&one).await.status, 403);
    let held = house.read(&format!("{PLANS}?state=held")).await;
    assert_eq!(held["items"], json!([]));
    let no = post(&house.nosy, &format!("{one}/dismiss"), json!({})).await;
    assert_eq!((no.status, no.code()), (409, "api.conflict".into()));
    assert!(
        app.user("ann").is_none() && app.user("ben").is_none(),
        "only shown"
    );

    // The world moves on: nothing of it is done.
    house.authentik.disable_silently(ben);
    let job = house.approved(&first).await;
    let job = house.ends(&job, "dead").await;
    let why = job["error"].as_str().unwrap_or_default();
    assert!(why.contains("nothing was done"), "{job}");
    assert_eq!(house.read(&one).await["state"], "proposed");
    assert!(app.user("ann").is_none(), "nothing of it");

    let second = house.proposed().await;
    assert_ne!(first, second);
    assert_eq!(house.nosy.get(&one).await.status, 404, "it was replaced");
    let job = house.approved(&second).await;
    house.ends(&job, "done").await;
    eventually("ann's account", || async { app.user("ann") }).await;
    assert!(app.user("ben").is_none());
    let plan = house.read(&format!("{PLANS}/{second}")).await;
    assert_eq!(
        (&plan["state"], &plan["by"]),
        (&json!("applied"), &json!("nosy"))
    );

    let trail = house.services.world.trail().await;
    let count = |kind: &str| {
        let of = trail.iter().filter(|body| body.contains(kind));
        of.filter(|body| body.contains("nosy")).count()
    };
    assert_eq!(
        (
            count("plan.proposed"),
            count("plan.approved"),
            count("plan.applied")
        ),
        (2, 2, 1),
        "{trail:#?}"
    );
    house.finish_unvisited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_in_an_app_is_read_by_services_as_by_operators() {
    let house = House::new().await;
    house.authentik.create(&NewPerson {
        groups: vec![GROUP_VALIDATED.into(), GROUP_MEMBERS.into()],
        ..NewPerson::named("ann")
    });
    let app = &house.services.world.mattermost;
    post(&house.ci, "/api/v1/sync", json!({ "all": true })).await;
    eventually("ann's account", || async {
        app.user("ann").filter(|user| !user.teams.is_empty())
    })
    .await;
    // The look of the start is over.
    let looked = || async {
        let drift = house.read("/api/v1/drift").await;
        assert_eq!(drift["items"][0]["app"], "chat");
        drift["items"][0]["look"]["looked_at"].as_i64()
    };
    let before = eventually("a look", looked).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;

    app.set_fields("ann", &[("email", "ann@elsewhere.test")]);
    assert!(app.remove_from_team("demo", "ann") && app.deactivate("ann"));
    house.run(&["reconcile", "run", "--json"]).await;
    let drift = house.read("/api/v1/drift").await["items"][0]["look"].clone();
    assert!(drift["looked_at"].as_i64() > Some(before), "{drift}");
    assert_eq!(
        drift["counts"],
        json!({ "deactivated_by_hand": 1 }),
        "{drift}"
    );
    assert!(app.reactivate("ann"));
    house.run(&["reconcile", "run", "--json"]).await;
    let page = house.read("/api/v1/drift/chat").await;
    let found = page["items"].as_array().expect("a list");
    assert_eq!(found.len(), 1, "{page}");
    assert_eq!(found[0]["what"], "profile");
    assert_eq!(found[0]["attributes"], json!(["email"]));
    assert_eq!(
        (&found[0]["whose"], &found[0]["care"]),
        (&json!("app"), &json!("mend"))
    );
    assert!(!page.to_string().contains("elsewhere"), "{page}");
    let last = house
        .run(&["reconcile", "report", "--last", "--json"])
        .await;
    assert_eq!(last[0]["differences"], page["items"]);
    let none = house.read("/api/v1/drift/chat?what=active").await;
    assert_eq!(none["items"], json!([]));

    for (peer, path, says) in [
        (&house.ci, "/api/v1/drift", 403),
        (&house.ci, "/api/v1/drift/chat", 403),
        (&house.nosy, "/api/v1/drift/nowhere", 404),
        (&house.nosy, "/api/v1/drift/chat?what=else", 400),
        (&house.nosy, "/api/v1/drift/chat?limit=0", 400),
        (&house.nosy, "/api/v1/drift/chat?cursor=abc", 400),
    ] {
        assert_eq!(peer.get(path).await.status, says, "{path}");
    }
    house.finish_unvisited().await;
}
