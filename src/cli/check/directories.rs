//! Directories: whether each answers, what its token lacks, and whether the people it names are those
//! whom assertions name.

use super::report::{Level, Report};
use crate::cli::out::count;
use crate::config::{AuthentikSubject, DirectoryConfig, DirectoryKind};
use crate::directory::source::{Source, SourceError};
use crate::directory::sources;
use crate::store::{Person, Store, User, UserFilter};
use crate::tls::ClientFiles;
use crate::types::Clock;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// So many people who have signed in are looked for.
const COMPARED: usize = 5;
/// Among so many.
const LOOKED_AT: u32 = 200;

/// Asks one of them.
pub(super) async fn judge(
    report: &mut Report,
    config: &DirectoryConfig,
    store: Option<&dyn Store>,
    clock: &Arc<dyn Clock>,
) {
    let about = format!("directory {}", config.id);
    let files = ClientFiles {
        ca: config.ca.clone(),
        identity: None,
        h2: false,
    };
    let tls = match files.load() {
        Ok(tls) => Arc::new(ArcSwap::from_pointee(tls)),
        Err(error) => return report.error(about, error.to_string(), "Look at its `ca`."),
    };
    let source = match sources::open(config, tls.clone(), clock.clone()) {
        Ok(source) => source,
        Err(error) => return report.error(about, error.to_string(), ""),
    };
    writing(report, config, tls, clock).await;
    let remarks = match source.look().await {
        Ok(remarks) => remarks,
        Err(error) => return unreachable(report, about, config, &error),
    };
    let fine = !remarks.iter().any(|remark| remark.serious);
    for remark in remarks {
        let level = match remark.serious {
            true => Level::Error,
            false => Level::Warning,
        };
        let remedy = match (&config.kind, remark.about) {
            _ if !remark.serious => "",
            (DirectoryKind::Authentik(_), "token") => {
                "Put a token into its file, made as README.md, \"The directory\", says."
            }
            (DirectoryKind::Authentik(_), "permission") => {
                "Give the role its permissions on all objects: README.md, \"The directory\"."
            }
            (DirectoryKind::Keycloak(_), "token") => {
                "Look at `client_id`, and put the client's secret into its file: README.md, \"The directory\"."
            }
            (DirectoryKind::Keycloak(_), "permission") => {
                "Give the client's service account the role view-users of realm-management: README.md, \"The directory\"."
            }
            _ => "",
        };
        report.add(
            level,
            format!("{about}: {}", remark.about),
            remark.text,
            remedy,
        );
    }
    if !fine {
        return;
    }
    match source.people(None).await {
        Err(error) => return unreachable(report, about, config, &error),
        Ok(page) => {
            let total = page.total.and_then(|total| usize::try_from(total).ok());
            let users = count(total.unwrap_or(page.items.len()), "user");
            report.ok(about.as_str(), format!("{}: answers, {users}", config.url));
        }
    }
    if let Some(store) = store {
        subjects(report, &about, config, &*source, store).await;
    }
}

/// What may be done in it by hand: whether the writer's token can, and can no more.
async fn writing(
    report: &mut Report,
    config: &DirectoryConfig,
    tls: Arc<ArcSwap<rustls::ClientConfig>>,
    clock: &Arc<dyn Clock>,
) {
    let Some(own) = &config.write else { return };
    let about = format!("directory {}: by hand", config.id);
    let looked = match sources::open_writer(config, tls, clock.clone()) {
        Ok(writer) => writer.look().await,
        Err(error) => Err(error),
    };
    let remarks = match looked {
        Ok(remarks) => remarks,
        Err(error) => return unreachable(report, about, config, &error),
    };
    let able = !remarks.iter().any(|remark| remark.serious);
    for remark in remarks {
        let level = match remark.serious {
            true => Level::Error,
            false => Level::Warning,
        };
        let about = format!("{about}: {}", remark.about);
        report.add(level, about, remark.text, remedy_of(remark.about));
    }
    if able {
        let invites = match &own.invitations {
            Some(own) => format!("people are invited to the flow {:?}", own.flow),
            None => "nobody is invited".to_owned(),
        };
        let groups = count(own.groups.len(), "group");
        report.ok(about, format!("{groups} can be given, {invites}"));
    }
}

fn remedy_of(about: &str) -> &'static str {
    match about {
        "token" => {
            "Make an account and a token of its own for it: README.md, \"By hand and from CI\"."
        }
        "permission" | "invitations" => {
            "Give its role what README.md, \"By hand and from CI\", lists, and no more."
        }
        "group" => "Look at `groups` of [directories.write].",
        _ => "",
    }
}

fn unreachable(report: &mut Report, about: String, config: &DirectoryConfig, error: &SourceError) {
    let remedy = match error {
        SourceError::Unavailable(why) if why.to_ascii_lowercase().contains("certificate") => {
            "Its certificate is not of a public authority, or for another name: name its authority with `ca`."
        }
        SourceError::Unavailable(_) | SourceError::Timeout(_) => {
            "Is it running, and is `url` its address, with the path below which it lives?"
        }
        SourceError::RateLimited(_) => "Ask again later, or raise the limit for this machine.",
        _ => "Look at its token.",
    };
    report.error(about, format!("{}: {error}", config.url), remedy);
}

/// People who have signed in are looked for by user name: their subject must be the one that the
/// directory names by the configured rule.
async fn subjects(
    report: &mut Report,
    about: &str,
    config: &DirectoryConfig,
    source: &dyn Source,
    store: &dyn Store,
) {
    let filter = UserFilter {
        limit: LOOKED_AT,
        ..UserFilter::default()
    };
    let Ok(users) = store.users(&filter).await else {
        return;
    };
    let (mut same, mut other) = (0, Vec::new());
    let seen = users.iter().filter(|user| user.issuer == config.issuer);
    for user in seen {
        if same + other.len() == COMPARED {
            break;
        }
        let Some(username) = user.username.as_deref().filter(|name| !name.is_empty()) else {
            continue;
        };
        match source.person_by_username(username).await {
            Ok(Some(person)) if person.subject.as_ref() == Some(&user.subject) => same += 1,
            Ok(Some(person)) => other.push((user, person)),
            Ok(None) => {}
            Err(_) => return,
        }
    }
    let about = format!("{about}: subject");
    if let Some((user, person)) = other.first() {
        let text = format!(
            "{} of {} who have signed in are somebody else to the directory: assertions name \
             {:?}, it names {:?}",
            other.len(),
            same + other.len(),
            user.subject.as_str(),
            person
                .subject
                .as_ref()
                .map_or("", |subject| subject.as_str()),
        );
        report.error(about, text, remedy(config, user, person));
    } else if same > 0 {
        let people = count(same, "person");
        report.ok(
            about,
            format!("the same as in assertions, for {people} compared"),
        );
    } else {
        report.note(
            about,
            "nobody has signed in whom the directory knows: the subject rule could not be compared",
        );
    }
}

/// The rule that would fit, if one does.
fn remedy(config: &DirectoryConfig, user: &User, person: &Person) -> String {
    let subject = user.subject.as_str();
    let alias = |prefix: &str| {
        person
            .aliases
            .iter()
            .any(|alias| *alias == format!("{prefix}:{subject}"))
    };
    let fits = match &config.kind {
        DirectoryKind::Authentik(own) => {
            let rules = [
                ("uid", AuthentikSubject::Uid, alias("uid")),
                ("uuid", AuthentikSubject::Uuid, alias("uuid")),
                ("pk", AuthentikSubject::Pk, person.id == subject),
            ];
            let fits = rules
                .iter()
                .find(|(_, rule, fits)| *fits && *rule != own.subject);
            fits.map(|(word, ..)| *word)
        }
        DirectoryKind::Keycloak(_) => None,
    };
    match fits {
        Some(word) => format!("Write subject = \"{word}\"."),
        None if user.username.as_deref() == Some(subject) || user.email == subject => {
            "The provider's subject is a name, which changes hands: set its subject mode to the hashed \
             user ID. Everybody is then somebody new to the bridge."
                .to_owned()
        }
        None => "Is this the directory that visitors sign in with?".to_owned(),
    }
}
