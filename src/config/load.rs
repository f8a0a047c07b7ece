//! Loading: which files there are, in which order they are read, and what holds between sections.

use super::findings::{Problems, Source};
use super::problem::ConfigErrors;
use super::reader::Table;
use super::{
    AppConfig, Config, Fingerprint, access, api, apps, audiences, clients, directories, hooks,
    jobs, mail, scim, sections, services, write,
};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest configuration file in bytes.
const LONGEST: u64 = 1 << 20;

impl Config {
    /// Reads and checks `path` and the `apps.d/*.toml` beside it, the latter in order of their
    /// names. Looks at the files that it names, and asks no peer.
    ///
    /// # Errors
    /// All mistakes at once, each with its file, line, key and remedy.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = path.parent().unwrap_or(&path).to_owned();
        let problems = Problems::new(&base);
        let mut sources: Vec<Source> = Vec::new();
        for path in [vec![path], app_files(&base, &problems)].concat() {
            sources.extend(read(&path, &problems));
        }
        // Without the main file all of its sections would seem to be missing.
        match sources.split_first() {
            Some((main, apps)) if problems.is_empty() => examine(main, apps, problems).0,
            _ => Err(problems.into_errors().unwrap_or(ConfigErrors(Vec::new()))),
        }
    }
}

fn app_files(base: &Path, problems: &Problems) -> Vec<PathBuf> {
    let folder = base.join("apps.d");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let what = format!("The folder can't be read: {error}.");
            problems.about_file(
                &folder.display().to_string(),
                what,
                "Check its permissions.",
            );
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path, problems: &Problems) -> Option<Source> {
    let name = path.display().to_string();
    let mut text = String::new();
    let outcome =
        std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    match outcome {
        Ok(length) if length as u64 <= LONGEST => Some(Source { name, text }),
        Ok(_) => {
            problems.about_file(
                &name,
                "It is longer than 1 MiB.".into(),
                "Is it the right file?",
            );
            None
        }
        Err(error) => {
            let remedy = "Name the file with --config; `auth-manager init` writes one.";
            problems.about_file(&name, format!("It can't be read: {error}."), remedy);
            None
        }
    }
}

/// What was asked for while reading: section and key.
pub(super) type Known = Vec<(String, &'static str)>;

/// Checks the main file and those of `apps.d`; also gives the keys that exist (for tests).
pub(super) fn examine(
    main: &Source,
    more: &[Source],
    problems: Problems,
) -> (Result<Config, ConfigErrors>, Known) {
    let config = build(main, more, &problems);
    let known = problems.known();
    let result = match (problems.into_errors(), config) {
        (Some(errors), _) => Err(errors),
        (None, Some(config)) => Ok(config),
        // Not reached as long as every missing value is complained about; refuse all the same.
        (None, None) => Err(ConfigErrors(vec![super::ConfigError {
            file: main.name.clone(),
            line: None,
            key: String::new(),
            problem: "The configuration is incomplete.".to_owned(),
            remedy: "Compare it with config/minimal.toml.".to_owned(),
        }])),
    };
    (result, known)
}

fn build(main: &Source, more: &[Source], problems: &Problems) -> Option<Config> {
    let main_table = problems.parse(main)?;
    let root = Table::root(problems, main, &main_table);
    problems
        .shared_secrets
        .set(root.insecure("insecure_secret_permissions"));
    let listen = root.table("listen");
    let proxy = sections::proxy(&listen.table("proxy"));
    let api_table = listen.table("api");
    let api = api::api(&api_table);
    let ops = sections::ops(&listen.table("ops"));
    let store = sections::store(&root.table("store"));
    let keys = sections::keys(&root.table("keys"));
    let mut directory = access::directory(&root.table("directory"));
    let portal = sections::portal(&root.table("portal"));
    let jobs = jobs::jobs(&root.table("jobs"));
    let audit = sections::audit(&root.table("audit"));
    let instance = proxy.as_ref().map(|proxy| proxy.address);
    let traces = sections::traces(&root.table("telemetry").table("traces"), instance);
    let mail = mail::mail(&root.table("mail"));
    let limits = sections::limits(&root.table("limits"));

    let issuer_tables = root.tables("issuers", "id");
    if issuer_tables.is_empty() {
        let remedy = "Add [[issuers]] with id = \"pomerium\" and its jwks.";
        root.complain("issuers", "Nobody vouches for visitors.", remedy);
    }
    let mut issuers = Vec::new();
    let mut seen = HashSet::new();
    for table in &issuer_tables {
        issuers.extend(sections::issuer(table));
        unique(table, "id", &mut seen);
    }

    let around = directories::Around {
        issuers: &issuers,
        complete: issuers.len() == issuer_tables.len(),
        // Said to be served is enough: what is wrong with it is said there.
        api: api_table.is_present() && !matches!(api_table.text("address"), Some("off")),
    };
    let issuers_complete = around.complete;
    let mut directories = Vec::new();
    let mut sources = HashSet::new();
    let directory_tables = root.tables("directories", "id");
    for table in &directory_tables {
        directories.extend(directories::directory(table, &around));
        unique(table, "id", &mut sources);
    }

    let more_tables: Vec<_> = more
        .iter()
        .filter_map(|source| Some((source, problems.parse(source)?)))
        .collect();
    let roots: Vec<_> = more_tables
        .iter()
        .map(|(source, table)| Table::root(problems, source, table))
        .collect();
    let mut app_tables = root.tables("apps", "id");
    app_tables.extend(roots.iter().flat_map(|root| root.tables("apps", "id")));
    if app_tables.is_empty() {
        let remedy = "Add [[apps]], here or in a file of the folder apps.d.";
        root.complain("apps", "There is no app.", remedy);
    }
    let only_issuer = match issuers.as_slice() {
        [only] if issuer_tables.len() == 1 => Some(&only.id),
        _ => None,
    };
    let mut apps: Vec<AppConfig> = Vec::new();
    let (mut ids, mut hosts) = (HashSet::new(), HashSet::new());
    for table in &app_tables {
        let app = apps::app(table, only_issuer);
        unique(table, "id", &mut ids);
        unique(table, "host", &mut hosts);
        if let Some(app) = app {
            // Issuers that are wrong themselves are not in the list: not said twice.
            let all_read = issuers.len() == issuer_tables.len();
            if all_read && issuers.iter().all(|issuer| issuer.id != app.issuer) {
                let names: Vec<_> = issuers.iter().map(|issuer| issuer.id.as_str()).collect();
                let remedy = format!("The ids of [[issuers]] are: {}.", names.join(", "));
                table.complain(
                    "issuer",
                    format!("There is no issuer \"{}\".", app.issuer),
                    remedy,
                );
            }
            apps.push(app);
        }
    }

    write::gives_no_power(&directory_tables, &directories, &apps);
    if let Some(api) = &api {
        api::not_an_app(&api_table, api, &apps);
    }
    let issuer_tables = root.tables("api_issuers", "id");
    let mut api_issuers = Vec::new();
    // The two kinds of issuers share metrics: `seen` holds the ids of the first.
    let mut names = HashSet::new();
    for table in &issuer_tables {
        api_issuers.extend(api::api_issuer(table, &issuers));
        unique(table, "id", &mut seen);
        unique(table, "issuer", &mut names);
    }
    let audience_tables = root.tables("audiences", "id");
    let mut receivers = Vec::new();
    let mut ids = HashSet::new();
    for table in &audience_tables {
        receivers.extend(audiences::audience(table, api.as_ref(), &apps));
        unique(table, "id", &mut ids);
    }
    let around = clients::Around {
        api: api.as_ref(),
        issuers: &api_issuers,
        apps: &apps,
        audiences: &receivers,
        complete: apps.len() == app_tables.len()
            && api_issuers.len() == issuer_tables.len()
            && receivers.len() == audience_tables.len(),
    };
    let mut clients_read = Vec::new();
    let (mut ids, mut taken) = hooks::taken(&directory_tables, &directories);
    let client_tables = root.tables("clients", "id");
    for table in &client_tables {
        clients_read.extend(clients::client(table, &around, &mut taken));
        unique(table, "id", &mut ids);
    }
    let clients = clients_read;
    let around = scim::Around {
        issuers: &issuers,
        clients: &clients,
        directories: &directories,
        complete: clients.len() == client_tables.len()
            && directories.len() == directory_tables.len()
            && issuers_complete,
    };
    let mut connections = Vec::new();
    let mut taken = HashSet::new();
    for table in &root.tables("scim", "id") {
        connections.extend(scim::connection(table, &around, &mut taken));
        // What a source says is kept under its id, whichever kind it is.
        unique(table, "id", &mut sources);
    }
    let asked = |scim: &super::ScimConfig| (scim.id.clone(), scim.reread.clone());
    directory.connections = connections.iter().map(asked).collect();
    let around = services::Around {
        clients: &clients,
        complete: clients.len() == client_tables.len(),
    };
    for table in &app_tables {
        let app = (apps.iter_mut()).find(|app| table.text("id") == Some(app.id.as_str()));
        match app {
            Some(app) => app.services = services::services(table, app, &around),
            // Wrong itself: that its services are keys must be known all the same.
            None => drop(table.entry("services")),
        }
    }
    services::every_scope_has_a_bot(&client_tables, &clients, &apps);

    Some(Config {
        proxy: proxy?,
        api,
        ops,
        store: store?,
        keys: keys?,
        issuers,
        directories,
        scim: connections,
        apps,
        api_issuers,
        clients,
        audiences: receivers,
        directory,
        portal,
        jobs,
        audit,
        traces,
        mail,
        limits,
        fingerprint: fingerprint(main, more),
        insecure: problems.insecure(),
    })
}

/// Hashes of what the files say. Each that is read here has been parsed already.
fn fingerprint(main: &Source, more: &[Source]) -> Fingerprint {
    let mut files = Context::new(&SHA256);
    let mut sections: BTreeMap<String, Context> = BTreeMap::new();
    for source in std::iter::once(main).chain(more) {
        files.update(&(source.text.len() as u64).to_be_bytes());
        files.update(source.text.as_bytes());
        let table: toml::Table = source.text.parse().unwrap_or_default();
        for (name, value) in table {
            let hash = sections
                .entry(name)
                .or_insert_with(|| Context::new(&SHA256));
            hash.update(value.to_string().as_bytes());
        }
    }
    let hex = |hash: Context| {
        let digits = hash.finish();
        digits
            .as_ref()
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    };
    Fingerprint {
        files: hex(files),
        sections: sections
            .into_iter()
            .map(|(name, hash)| (name, hex(hash)))
            .collect(),
    }
}

/// Complains when another table has the same value, ASCII case ignored as hosts do.
fn unique(table: &Table<'_>, key: &'static str, seen: &mut HashSet<String>) {
    let Some(value) = table.text(key).map(str::to_ascii_lowercase) else {
        return;
    };
    if !seen.insert(value.clone()) {
        let what = format!(
            "Another one has the same {key}, {}.",
            super::reader::shown(&value)
        );
        table.complain(key, what, format!("Each needs its own {key}."));
    }
}
