use crate::bed::Bed;
use crate::pg::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_on_the_shared_store() {
    let bed = Bed::new().await;
    bed.replace(
        "[store]\nsqlite = \"store.db\"",
        "[store]\n[store.postgres]\nurl = { file = \"url\" }",
    );
    let named = Cluster::shared().url();
    let folder = named.split(' ').find_map(|part| part.strip_prefix("host="));
    let url = format!(
        "postgresql:///postgres?user=postgres&host={}",
        folder.unwrap()
    );
    bed.secret("url", &url);
    let empty = bed.run(&["check"]).await;
    assert!(empty.out.contains("PostgreSQL: empty"), "{empty:?}");
    let none = bed.run(&["users", "list"]).await.failed();
    assert!(none.contains("auth-manager migrate"), "{none}");
    let done = bed.run(&["migrate"]).await.ok();
    assert!(done.contains("from none to version "), "{done}");
    bed.run(&["keys", "rotate"]).await.ok();
    let list = bed.run(&["keys", "list", "--json"]).await.json();
    assert_eq!(list[0]["state"], "signing");
    let full = bed.run(&["check"]).await;
    assert!(full.out.contains("opens 3 signing keys"), "{full:?}");
}
