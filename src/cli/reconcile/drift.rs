//! What differs in apps, shown: who, in what, whose doing it is, and what becomes of it.

use super::SHOWN;
use crate::cli::out::{Table, count, print};
use crate::cli::person;
use crate::cli::stage::Stage;
use crate::reconcile::drift::{Care, Difference, Drifted, Healed, Report, Whose};
use crate::reconcile::plan::Plan;
use crate::store::PlanState;

/// Says what a look at an app found.
pub(super) async fn tell(stage: &Stage, report: &Report) -> anyhow::Result<()> {
    let differ = match report.counts.values().sum::<u64>() {
        0 => "nothing differs".to_owned(),
        1 => "1 thing differs".to_owned(),
        n => format!("{} differ", counted(n, "thing")),
    };
    print(format!(
        "{}: {} accounts, {} of them our people's and active; {differ}.",
        report.app, report.accounts, report.present
    ))?;
    let mut table = Table::new(&["WHO", "WHAT", "WHOSE DOING", "WHAT BECOMES OF IT"]);
    for difference in report.differences.iter().take(SHOWN) {
        let who = match stage.store.user(difference.user).await? {
            Some(user) => person::name(&user),
            None => difference.user.to_string(),
        };
        table.row([
            who,
            what(difference),
            whose(difference.whose).to_owned(),
            care(difference.care).to_owned(),
        ]);
    }
    if !report.differences.is_empty() {
        print(table.text(""))?;
    }
    let more = report.differences.len().saturating_sub(SHOWN) as u64 + report.left_out;
    if more > 0 {
        print(format!(
            "… and {more} more (--json has {})",
            match report.left_out {
                0 => "all".to_owned(),
                left_out => format!("all but {left_out}"),
            }
        ))?;
    }
    for problem in &report.problems {
        print(format!("not compared: {problem}"))?;
    }
    if report.strangers > 0 {
        let names = report.some_strangers.iter().take(5).cloned();
        let names: Vec<_> = names.collect();
        print(format!(
            "{} of people whom nobody here knows, which are left alone: {}{}",
            counted(report.strangers, "active account"),
            names.join(", "),
            if report.strangers > 5 { " …" } else { "" }
        ))?;
    }
    Ok(())
}

/// Says what would wait.
pub(super) fn tell_waiting(plans: &[Plan]) -> anyhow::Result<()> {
    for plan in plans {
        let why = plan.held.as_deref().unwrap_or_default();
        print(format!("HELD: {why}, by what {} says.", plan.source))?;
    }
    Ok(())
}

/// Says what was done about it.
pub(super) fn tell_healed(healed: &Healed) -> anyhow::Result<()> {
    print(format!(
        "{} people are brought up to date by jobs.",
        healed.queued
    ))?;
    for (plan, _) in &healed.held {
        if plan.state == PlanState::Held {
            print(format!(
                "HELD: {}. `auth-manager reconcile apply {}` does it, `dismiss` leaves them.",
                plan.why, plan.id
            ))?;
        }
    }
    Ok(())
}

fn what(difference: &Difference) -> String {
    let place = match &difference.place {
        Some(place) => format!(" {place}"),
        None => String::new(),
    };
    let of = difference.attributes.iter();
    let of: Vec<_> = of.map(|attribute| attribute.as_str()).collect();
    let text = match difference.what {
        Drifted::Active => "may not use it, and the account is active",
        Drifted::Keeps => "is still in",
        Drifted::Missing => "has no account",
        Drifted::Inactive => "is back, and the account is deactivated",
        Drifted::ActivatedByHand => "was activated by hand",
        Drifted::DeactivatedByHand => "was deactivated by hand",
        Drifted::Lacks => "is not in",
        Drifted::Profile => "is called otherwise:",
        Drifted::Conflict => "another account is in the way",
    };
    match of.is_empty() {
        true => format!("{text}{place}"),
        false => format!("{text} {}", of.join(", ")),
    }
}

const fn whose(whose: Whose) -> &'static str {
    match whose {
        Whose::App => "somebody in the app",
        Whose::Bridge => "not done yet",
    }
}

const fn care(care: Care) -> &'static str {
    match care {
        Care::Mend => "a job mends it",
        Care::Waits => "its job waits",
        Care::Dead => "its job is dead (jobs retry)",
        Care::Held => "waits for your word (reconcile plans)",
        Care::Left => "stays so",
    }
}

fn counted(n: u64, what: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), what)
}
