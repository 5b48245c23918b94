//! The word that it takes to lose data.
//!
//! A plan marks the steps that take data away (`core::yard::plan::Step::loses_data`). A caller that has a
//! plan carried out passes a [`DataLoss`], which says what of that may happen; there is no default. It is
//! checked before anything is done, and again for every plan of the same run that comes after another
//! look at the cloud, since that one may lose more than the user has seen.

use stackyard_core::yard::Key;
use stackyard_core::yard::plan::{Action, Plan, Step};
use std::collections::BTreeSet;
use std::fmt;

/// Which data a run may lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataLoss {
    /// None.
    Refused,
    /// That of these resources, by key and id, which the user saw and confirmed.
    Confirmed(BTreeSet<(Key, Option<String>)>),
    /// That of all that its plans remove.
    Allowed,
}

impl DataLoss {
    /// Allows what this plan loses, and nothing else.
    pub fn confirmed(plan: &Plan) -> Self {
        Self::Confirmed(
            plan.losses()
                .map(|s| (s.key.clone(), s.id.clone()))
                .collect(),
        )
    }

    /// Everything, if `allowed`, else nothing.
    pub fn allowed_if(allowed: bool) -> Self {
        if allowed {
            Self::Allowed
        } else {
            Self::Refused
        }
    }

    /// Whether a plan may be carried out.
    ///
    /// # Errors
    /// [`DataLossRefused`], with all that it would lose and may not.
    pub fn check(&self, plan: &Plan) -> Result<(), DataLossRefused> {
        let may = |step: &Step| match self {
            Self::Refused => false,
            Self::Confirmed(known) => known.contains(&(step.key.clone(), step.id.clone())),
            Self::Allowed => true,
        };
        let lost: Vec<LostData> = plan
            .losses()
            .filter(|s| !may(s))
            .map(|s| LostData::of(s, plan))
            .collect();
        if lost.is_empty() {
            Ok(())
        } else {
            Err(DataLossRefused(lost))
        }
    }
}

/// Data would be lost, and the caller did not allow that. The plan was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("cannot carry out the plan: data would be lost:\n- {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n- "))]
pub struct DataLossRefused(
    /// The resources.
    pub Vec<LostData>,
);

impl DataLossRefused {
    /// The way to lose the data nevertheless.
    pub const HINT: &str =
        "to lose it, pass `--allow-data-loss` (`allow_data_loss: true` in the API)";
}

/// A resource whose data would be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostData {
    /// The resource.
    pub key: Key,
    /// How to keep it, where the manifest can.
    pub hint: Option<String>,
}

impl LostData {
    fn of(step: &Step, plan: &Plan) -> Self {
        let again = plan
            .steps
            .iter()
            .find(|s| s.action == Action::Recreate && s.key == step.key);
        let changes = again
            .into_iter()
            .filter(|_| step.action == Action::Discard)
            .flat_map(|s| &s.changes);
        let placed = |field: &str| matches!(field, "type" | "availability zone");
        let has: Vec<String> = changes
            .filter(|c| placed(c.field))
            .map(|c| format!("{} {}", c.field, c.from))
            .collect();
        let hint = (!has.is_empty()).then(|| {
            format!(
                "to keep it, write what the cloud has in the manifest: {}",
                has.join(", ")
            )
        });
        Self {
            key: step.key.clone(),
            hint,
        }
    }
}

impl fmt::Display for LostData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::yard::Kind;
    use stackyard_core::yard::plan::Change;

    fn step(action: Action, name: &str, changes: Vec<Change>) -> Step {
        Step {
            key: Key::new(Kind::Volume, name),
            action,
            id: Some(format!("id of {name}")),
            changes,
            reasons: Vec::new(),
            loses_data: true,
            after: Vec::new(),
        }
    }

    #[test]
    fn what_was_not_confirmed_is_refused() {
        let zone = Change {
            field: "availability zone",
            from: "a".into(),
            to: "b".into(),
            replace: true,
        };
        let mut plan = Plan {
            steps: vec![
                step(Action::Discard, "data", vec![]),
                step(Action::Recreate, "data", vec![zone]),
            ],
            ..Plan::default()
        };
        let confirmed = DataLoss::confirmed(&plan);
        assert!(confirmed.check(&plan).is_ok() && DataLoss::Allowed.check(&plan).is_ok());
        assert_eq!(
            DataLoss::Refused.check(&plan).unwrap_err().to_string(),
            "cannot carry out the plan: data would be lost:\n- volume data (to keep it, write what the cloud has in the \
             manifest: availability zone a)"
        );
        plan.steps.push(step(Action::Remove, "more", vec![]));
        let Err(DataLossRefused(lost)) = confirmed.check(&plan) else {
            panic!("it may lose more than was confirmed")
        };
        assert_eq!(
            lost.iter().map(|l| l.key.name.as_str()).collect::<Vec<_>>(),
            ["more"]
        );
        // Another resource of the same name is another resource.
        plan.steps[0].id = Some("other".to_owned());
        assert!(confirmed.check(&plan).is_err());
    }
}
