//! `auth-manager users explain` and `users forget-word`: what directories say, and what follows.

use super::out::{Table, clean, json, print};
use super::person;
use super::stage::Stage;
use crate::directory::explain::{Explained, ExplainedApp};
use crate::directory::{Looked, Says, WantedState, explain};
use crate::runtime;
use crate::types::{AppId, SourceId};
use anyhow::bail;
use serde_json::json;

pub(super) async fn run(
    stage: &Stage,
    who: &str,
    app: Option<AppId>,
    as_json: bool,
) -> anyhow::Result<()> {
    if let Some(app) = &app {
        stage.app(app)?;
    }
    let user = person::find(stage, who).await?;
    let terms = runtime::directory_terms_of(&stage.config);
    let looked = Looked::at(&*stage.store, &user.issuer, &user.subject).await?;
    let meant = terms
        .apps
        .iter()
        .filter(|terms| app.as_ref().is_none_or(|app| terms.id == *app));
    let explained = explain(meant, &user, &looked, &terms.rules, stage.now);
    if as_json {
        return json(&json!({ "user": user, "explained": explained }));
    }
    print(format!(
        "{}, {}\n\n{}",
        person::name(&user),
        user.state,
        words(&explained)
    ))?;
    for app in &explained.apps {
        print(format!("\n{}", shown(app)))?;
    }
    Ok(())
}

fn words(explained: &Explained) -> String {
    let mut text = String::new();
    if let Some(denial) = &explained.denial {
        text.push_str(&format!(
            "turned away: {}, says {} since {}\n",
            denial.why.as_str(),
            denial.source,
            denial.since
        ));
    }
    let mut table = Table::new(&["DIRECTORY", "READ", "AGE (S)", "GROUPS"]);
    for word in &explained.words {
        let groups = word.groups.iter().map(|group| match group.name.as_str() {
            "" => group.id.clone(),
            name if group.gone => format!("{name} (gone)"),
            name => name.to_owned(),
        });
        table.row([
            word.source.to_string(),
            word.read_at.to_string(),
            word.age.to_string(),
            groups.collect::<Vec<_>>().join(", "),
        ]);
    }
    text.push_str(&table.text("No directory says that they are there."));
    text
}

fn shown(app: &ExplainedApp) -> String {
    let verdict = match app.code {
        None => "comes in".to_owned(),
        Some(code) => format!("refused ({code})"),
    };
    let mut table = Table::new(&["KEY", "GROUP", "DIRECTORIES", "ASSERTION", "GATE", "BY"]);
    for gate in &app.gates {
        let name = match &gate.id {
            Some(id) => format!("{} = {id}", gate.name),
            None => gate.name.clone(),
        };
        let says = match gate.directories {
            Says::Yes => "yes",
            Says::No => "no",
            Says::Nothing => "nothing fresh",
        };
        let by = match gate.decided_by {
            crate::directory::gate::DecidedBy::Directory => "directory",
            crate::directory::gate::DecidedBy::Assertion => "assertion",
        };
        let (asserts, open) = (gate.assertion, gate.open);
        table.row([
            gate.key.to_owned(),
            name,
            says.to_owned(),
            if asserts { "names it" } else { "does not" }.to_owned(),
            if open { "open" } else { "shut" }.to_owned(),
            by.to_owned(),
        ]);
    }
    let wanted = match &app.wanted.account {
        WantedState::Present => "an account".to_owned(),
        WantedState::Absent { why, .. } => format!("no account: {why}"),
        WantedState::Leave { why } => format!("as it is: {why}"),
    };
    format!(
        "{}: {verdict}: {}\n{}\nwanted there: {wanted}\n",
        app.app,
        app.decided_by,
        table.text("no group is asked for")
    )
}

pub(super) async fn forget(
    stage: &Stage,
    source: &SourceId,
    id: &str,
    dry_run: bool,
) -> anyhow::Result<()> {
    let Some(known) = stage.store.person(source, id).await? else {
        bail!("{source} has said nothing about {}", clean(id));
    };
    let whose = match &known.subject {
        Some(subject) => format!("about {}", clean(subject.as_str())),
        None => "about nobody".to_owned(),
    };
    if dry_run {
        return print(format!("what {source} said {whose} would be forgotten"));
    }
    let intake = stage.intake();
    let why = "forgotten by an operator";
    intake.forget(source, id, &stage.by(), why).await?;
    print(format!("what {source} said {whose} is forgotten"))
}
