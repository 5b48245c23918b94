//! What a package of a manifest would bring: for a user who decides about it before anything is deployed.

use crate::templates::TemplateRenderer;
use serde::Serialize;
use stackyard_catalog::manifest::{StackSource, Yard};
use stackyard_catalog::{Machines, Secrets, privileges, render_for_hosts};
use std::collections::BTreeSet;

/// What a package brings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PackageReview {
    /// Resources in the cloud, as plans call them.
    pub resources: Vec<String>,
    /// Its stacks.
    pub stacks: Vec<StackReview>,
}

/// A stack of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StackReview {
    /// Its name.
    pub name: String,
    /// Images of its services.
    pub images: BTreeSet<String>,
    /// What it wants of its hosts beyond confined containers; see [`privileges`].
    pub privileges: Vec<String>,
}

impl PackageReview {
    /// Looks at the package `instance` of a manifest. `before` is the manifest without it, or with another version.
    /// Secrets of its templates are made for this look alone.
    ///
    /// # Errors
    /// In words, with the name of the stack: mistakes of its Compose files, no randomness.
    pub async fn of(
        yard: &Yard,
        before: Option<&Yard>,
        instance: &str,
        renderer: &TemplateRenderer,
    ) -> Result<Self, String> {
        let known: BTreeSet<String> = before.into_iter().flat_map(resources).collect();
        let resources = resources(yard).filter(|key| !known.contains(key));
        let mut review = Self {
            resources: resources.collect(),
            stacks: Vec::new(),
        };
        for stack in &yard.stacks {
            let StackSource::Installed(part) = &stack.source else {
                continue;
            };
            if part.instance != instance {
                continue;
            }
            let failed = |e: &dyn std::fmt::Display| format!("stack {}: {e}", stack.name);
            let mut secrets = Secrets::default();
            secrets
                .generate(&part.package.secrets)
                .map_err(|e| failed(&e))?;
            let _place = renderer.place().await;
            let rendered = render_for_hosts(
                &part.package,
                &stack.name,
                &part.answers,
                &secrets,
                &Machines::Example,
                &|job| renderer.render(job),
            );
            let made = rendered.map_err(|e| failed(&e))?.stack;
            review.stacks.push(StackReview {
                name: stack.name.clone(),
                images: made.services.values().map(|s| s.image.clone()).collect(),
                privileges: privileges(&made),
            });
        }
        Ok(review)
    }
}

fn resources(yard: &Yard) -> impl Iterator<Item = String> {
    yard.intended.resources.iter().map(|r| r.key.to_string())
}

/// A text of a package without what moves a terminal's cursor or changes its colours: it must not hide lines of a
/// question to the user.
pub fn printable(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
        .replace(char::is_control, "\u{fffd}")
}

impl std::fmt::Display for PackageReview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for resource in &self.resources {
            writeln!(f, "  {resource}")?;
        }
        for stack in &self.stacks {
            let images: Vec<&str> = stack.images.iter().map(String::as_str).collect();
            let images = printable(&images.join(", "));
            writeln!(f, "  stack {} of {images}", stack.name)?;
            for privilege in &stack.privileges {
                writeln!(f, "    wants {}", printable(privilege))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_cannot_hide_what_it_wants() {
        let stack = StackReview {
            name: "db".into(),
            images: ["i\u{1b}[8m".to_owned()].into(),
            privileges: vec!["service a: paths of the host /\r/tmp\u{9b}2K".into()],
        };
        let review = PackageReview {
            resources: vec!["network db".into()],
            stacks: vec![stack],
        };
        assert_eq!(
            review.to_string(),
            "  network db\n  stack db of i\u{fffd}[8m\n    wants service a: paths of the host / /tmp\u{fffd}2K\n"
        );
    }
}
