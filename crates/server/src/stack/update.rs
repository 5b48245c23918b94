//! Changes of a stack's services: other images, other environments.

use super::{Deployment, DeploymentChanges, NetworkChoice, StackError, Stacks};
use stackyard_api::ServiceUpdate;
use stackyard_core::stack::Service;
use std::collections::BTreeMap;

/// Longest reference of an image, in bytes: a name of 255, a tag of 128, a digest.
const REFERENCE: usize = 512;

/// Changes a service.
fn apply(update: &ServiceUpdate, name: &str, service: &mut Service) -> Result<(), StackError> {
    let refused = |what: String| Err(StackError::Refused(format!("service {name}: {what}")));
    if let Some(image) = &update.image {
        let strange = |c: char| c.is_whitespace() || c.is_control();
        if image.is_empty() || image.len() > REFERENCE || image.contains(strange) {
            return refused(format!("{image:?} is no image; give one as `name:tag`"));
        }
        image.clone_into(&mut service.image);
    }
    for (variable, value) in &update.environment {
        if variable.is_empty() || variable.contains(['=', '\0']) {
            return refused(format!("{variable:?} cannot name a variable"));
        }
        match value {
            Some(value) if value.contains('\0') => return refused(format!("the value of {variable} has a NUL")),
            Some(value) => drop(service.environment.insert(variable.clone(), value.clone())),
            None => drop(service.environment.remove(variable)),
        }
    }
    Ok(())
}

impl Stacks {
    /// What a change of services would do to a stack, by service.
    ///
    /// # Errors
    /// As of [`Self::update`].
    pub async fn plan_update(
        &self,
        yard: &str,
        name: &str,
        services: &BTreeMap<String, ServiceUpdate>,
    ) -> Result<DeploymentChanges, StackError> {
        self.changes(yard, self.updated(yard, name, services).await?).await
    }

    /// Deploys a stack as it was deployed last, with changes of services.
    ///
    /// # Errors
    /// [`StackError::Missing`], [`StackError::NoService`], [`StackError::Refused`] for what no service can have,
    /// and as of [`Self::deploy`].
    pub async fn update(
        &self,
        yard: &str,
        name: &str,
        services: &BTreeMap<String, ServiceUpdate>,
    ) -> Result<DeploymentChanges, StackError> {
        self.deploy(yard, self.updated(yard, name, services).await?).await
    }

    async fn updated(
        &self,
        yard: &str,
        name: &str,
        services: &BTreeMap<String, ServiceUpdate>,
    ) -> Result<Deployment, StackError> {
        let now = self.get(yard, name).await?;
        if now.removing {
            return Err(StackError::Leaving(name.to_owned()));
        }
        if services.is_empty() {
            return Err(StackError::Refused("no service is named that is to be changed".to_owned()));
        }
        let mut stack = now.stack;
        for (service, update) in services {
            let known: Vec<String> = stack.services.keys().cloned().collect();
            let Some(found) = stack.services.get_mut(service) else {
                return Err(StackError::NoService { stack: name.to_owned(), service: service.clone(), known });
            };
            apply(update, service, found)?;
        }
        Ok(Deployment { stack, pool: now.pool, declared: now.declared, networks: NetworkChoice::Settled })
    }
}
