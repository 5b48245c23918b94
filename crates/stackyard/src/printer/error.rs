//! Errors as the user reads them: causes and a hint.

use stackyard_openstack::Error as CloudError;
use stackyard_server::backup::BackupError;
use stackyard_yard::{DataLossRefused, Error as YardError, WorkError};

/// An error of the command line with a hint.
///
/// The message has the form `cannot <verb> <object>: <cause>`. The hint tells the user in the
/// imperative what to do.
#[derive(Debug)]
pub struct UserError {
    message: String,
    hint: String,
}

impl UserError {
    /// An error with this message and this hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for UserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {}

/// The messages of an error and its sources, without those that the message above contains.
pub fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if out.last().is_none_or(|above| !above.contains(text.as_str())) {
            out.push(text);
        }
    }
    out
}

/// The hint of the innermost error that has one: it knows the problem best.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    let of_cause = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(error) = cause.downcast_ref::<UserError>() {
            return Some(error.hint.clone());
        }
        if cause.is::<DataLossRefused>() {
            return Some(DataLossRefused::HINT.to_owned());
        }
        if let Some(error) = cause.downcast_ref::<BackupError>() {
            return error.hint().map(str::to_owned);
        }
        let of_cloud = cause.downcast_ref::<CloudError>();
        let of_cloud = of_cloud.or_else(|| cause.downcast_ref::<Box<CloudError>>().map(|boxed| &**boxed));
        let of_yard = match cause.downcast_ref() {
            Some(WorkError::Yard(error)) => Some(error),
            _ => cause.downcast_ref::<YardError>(),
        };
        of_cloud.and_then(CloudError::hint).or_else(|| of_yard.and_then(YardError::hint))
    };
    error.chain().filter_map(of_cause).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_not_printed_twice() {
        let e = anyhow::anyhow!("refused").context("connecting to the engine: refused").context("cloud up");
        assert_eq!(causes(&e), ["cloud up", "connecting to the engine: refused"]);
    }

    #[test]
    fn the_hint_survives_a_context() {
        let e = anyhow::Error::new(UserError::new("cannot write x: the file exists", "choose another file"));
        assert_eq!(hint(&e.context("cannot write the manifest")).as_deref(), Some("choose another file"));
    }
}
