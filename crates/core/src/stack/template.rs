//! Placeholders of Swarm: `{{.Node.Hostname}}`, `{{.Task.Slot}}`.
//!
//! Swarm replaces them for each container in a service's host name, environment and mounts (Docker
//! documentation, `docker service create`, "Create services using templates"). Text in braces that
//! does not begin with `.Node`, `.Service` or `.Task` is nothing of Swarm's, and stays.

/// A value of a container's that a text may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder<'t> {
    /// `.Node.Hostname`: the name of the container's host.
    NodeHostname,
    /// `.Node.ID`: the id of the container's host.
    NodeId,
    /// `.Node.Platform.OS`: always `linux`.
    NodeOs,
    /// `.Node.Platform.Architecture`: as the kernel names it, `x86_64`.
    NodeArchitecture,
    /// `.Service.Name`: `<stack>_<service>`.
    ServiceName,
    /// `.Service.Labels.<name>` or `index .Service.Labels "<name>"`: a label of the service.
    ServiceLabel(&'t str),
    /// `.Task.Name`: the container's name without its stack, `<stack>_<service>.<number>`.
    TaskName,
    /// `.Task.Slot`: the container's number among those of its service, from 1.
    TaskSlot,
}

/// Names that may stand in a template, for messages.
pub const PLACEHOLDERS: &str = ".Node.Hostname, .Node.ID, .Node.Platform.OS, .Node.Platform.Architecture, .Service.Name, .Service.Labels, \
     .Task.Name and .Task.Slot";

/// Replaces the placeholders of a text by what `value` gives.
///
/// # Errors
/// The first placeholder of Swarm's that is not known, without its braces.
pub fn expand(text: &str, value: impl Fn(Placeholder<'_>) -> String) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inner, behind)) = after.split_once("}}") else { break };
        out.push_str(before);
        match parse(inner.trim()) {
            Ok(Some(placeholder)) => out.push_str(&value(placeholder)),
            Ok(None) => out.extend(["{{", inner, "}}"]),
            Err(()) => return Err(inner.trim().to_owned()),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands between braces; `None` if it is nothing of Swarm's.
fn parse(inner: &str) -> Result<Option<Placeholder<'_>>, ()> {
    Ok(Some(match inner {
        ".Node.Hostname" => Placeholder::NodeHostname,
        ".Node.ID" => Placeholder::NodeId,
        ".Node.Platform.OS" => Placeholder::NodeOs,
        ".Node.Platform.Architecture" => Placeholder::NodeArchitecture,
        ".Service.Name" => Placeholder::ServiceName,
        ".Task.Name" => Placeholder::TaskName,
        ".Task.Slot" => Placeholder::TaskSlot,
        _ => match label(inner) {
            Some(name) => Placeholder::ServiceLabel(name),
            None if [".Node", ".Service", ".Task"].iter().any(|of| inner.contains(of)) => return Err(()),
            None => return Ok(None),
        },
    }))
}

fn label(inner: &str) -> Option<&str> {
    let dotted = inner.strip_prefix(".Service.Labels.").filter(|n| n.chars().all(|c| c == '_' || c.is_alphanumeric()));
    let indexed = || {
        let name = inner.strip_prefix("index")?.trim_start().strip_prefix(".Service.Labels")?.trim();
        name.strip_prefix('"')?.strip_suffix('"').filter(|n| !n.contains('"'))
    };
    dotted.or_else(indexed).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(text: &str) -> Result<String, String> {
        expand(text, |p| format!("<{p:?}>"))
    }

    #[test]
    fn what_is_swarms_is_replaced_and_the_rest_stays() {
        assert_eq!(go("{{.Node.Hostname}}-{{ .Task.Slot }}").unwrap(), "<NodeHostname>-<TaskSlot>");
        assert_eq!(go("{{index .Service.Labels \"a.b\"}}").unwrap(), "<ServiceLabel(\"a.b\")>");
        assert_eq!(go("{{.Service.Labels.a}}").unwrap(), "<ServiceLabel(\"a\")>");
        for text in ["", "a", "{{.Names}}", "{{ .Values.x }} {{", "}}{{", "${{ secrets.X }}"] {
            assert_eq!(go(text).unwrap(), text);
        }
        for (text, unknown) in [("a {{.Task.ID}}", ".Task.ID"), ("{{ .Service.ID }}", ".Service.ID")] {
            assert_eq!(go(text).unwrap_err(), unknown);
        }
    }
}
