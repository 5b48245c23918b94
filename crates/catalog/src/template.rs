//! Configuration files of a package, rendered with minijinja.
//!
//! A template sees `answers.<question>`, `secrets.<secret>`, `host.{name, address, kvm, ovs_kernel,
//! cpus, memory_mib}` and `hosts.<label>`, the hosts that have the label. For hosts of a yard, `host`
//! has `name` and `address` alone. They may only be printed: they are markers, which each host replaces.
//!
//! Nothing is silently empty: an undefined name is an error, and so is printing `none`, the value of
//! a question that was not answered. Booleans print as in Python, `True` and `False`; use `tojson`
//! for JSON and YAML.
//!
//! White space is treated as Ansible's users know it: the line break after a block tag is
//! dropped, so are blanks before it, and the last line break of a file is kept. Nothing is
//! escaped by file extension. Includes are looked up from `config/`; `./` and `../` mean
//! the including file's directory.
//!
//! Filters besides minijinja's own: `b64encode`, and for addresses and networks
//! `network`, `netmask`, `prefix`, `address`, `broadcast`, `host(n)`, `ip_version`.
//!
//! A package may be a stranger's, and a server renders it for everybody: minijinja counts
//! instructions and bytes as fuel, and a template that uses up its own stops with an error.
//! It does not count all: lists that are added grow uncounted. So a server hands templates to a
//! process of its own ([`TemplateJob`]), which the kernel ends.

use crate::answers::ResolvedAnswers;
use crate::diag::{did_you_mean, harmless};
use crate::facts::{EXAMPLE_LABEL, HostFacts, HostLists, Machines, OWN, OWN_ADDRESS, YardHost};
use crate::secrets::Secrets;
use crate::source::Source;
use base64::Engine;
use ipnet::IpNet;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use stackyard_core::stack::own_host::OwnHost;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Directory of templates and other files that services get mounted.
pub(crate) const CONFIG_DIR: &str = "config";

/// Fuel of one file: an instruction costs 1, and so do 64 bytes of text that it makes or reads
/// ([`Environment::set_fuel`]). Of the package of OpenStack, the greediest file takes 1,000.
const FILE_FUEL: u64 = 500_000;

/// Fuel of all files of a package together. The package of OpenStack takes 18,000.
const PACKAGE_FUEL: u64 = 4 * FILE_FUEL;

/// A template is tried with the values of so many hosts.
const CHECKED_HOSTS: usize = 8;

/// Suffix of files that are rendered; it is dropped from their names.
pub(crate) const SUFFIX: &str = ".j2";

/// A template that cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", harmless(format!(
    "{file}{}: {message}{}{}", show_line(*.line), show_expression(.expression), show_hint(.hint)
)))]
pub struct TemplateError {
    /// The template.
    pub file: String,
    /// Line, from 1; 0 when it is not known.
    pub line: usize,
    /// The expression that failed.
    pub expression: Option<String>,
    /// What is wrong with it. Values of secrets are blanked.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

fn show_line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

fn show_expression(expression: &Option<String>) -> String {
    expression.as_ref().map(|e| format!(" in `{e}`")).unwrap_or_default()
}

fn show_hint(hint: &Option<String>) -> String {
    hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default()
}

/// All that the templates of a package are rendered from. It holds secrets in clear.
#[derive(Clone, Serialize, Deserialize)]
pub struct TemplateJob {
    /// Name of the package's root in messages.
    root: String,
    /// Text of the files under `config/`, by their paths in the package.
    files: BTreeMap<String, String>,
    /// The other files there.
    not_text: BTreeSet<String>,
    answers: BTreeMap<String, serde_json::Value>,
    secrets: BTreeMap<String, String>,
    machines: Machines,
    /// Values that no message may show.
    hidden: Vec<String>,
}

/// Shows no secret.
impl fmt::Debug for TemplateJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateJob").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Texts of a package's templates, by their paths in the package, or why there is none.
pub type RenderedTemplates = BTreeMap<String, Result<String, TemplateError>>;

impl TemplateJob {
    pub(crate) fn new(
        source: &dyn Source,
        answers: &ResolvedAnswers,
        secrets: &Secrets,
        machines: &Machines,
    ) -> Result<Self, std::io::Error> {
        let passwords = answers.iter().filter(|a| a.secret).map(|a| a.value.to_string());
        let hidden = secrets.iter().map(|(_, v)| v.to_owned()).chain(passwords);
        let (mut files, mut not_text) = (BTreeMap::new(), BTreeSet::new());
        for path in source.list(CONFIG_DIR)? {
            match String::from_utf8(source.read(&path)?) {
                Ok(text) => drop(files.insert(path, text)),
                Err(_) => drop(not_text.insert(path)),
            }
        }
        Ok(Self {
            root: source.name(),
            files,
            not_text,
            answers: answers.iter().map(|a| (a.name.clone(), serde_json::json!(a.value))).collect(),
            secrets: secrets.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            machines: machines.clone(),
            // Very short ones would blank out harmless text.
            hidden: hidden.filter(|v| v.len() > 3).collect(),
        })
    }

    /// Renders all templates. May take memory and time without limit: see the module.
    pub fn render(&self) -> RenderedTemplates {
        let templates = Templates::new(self, &self.own_facts());
        let paths = self.files.keys().chain(&self.not_text).filter(|path| path.ends_with(SUFFIX));
        let mut rendered: RenderedTemplates = paths.map(|path| (path.clone(), templates.render(path))).collect();
        self.refuse_decisions(&mut rendered);
        rendered
    }

    /// The object `host`: facts of the one machine, or markers that each host replaces.
    fn own_facts(&self) -> BTreeMap<String, serde_json::Value> {
        match &self.machines {
            Machines::One(facts) => {
                let serde_json::Value::Object(facts) = serde_json::json!(facts) else { return BTreeMap::new() };
                facts.into_iter().chain([("address".to_owned(), OWN_ADDRESS.into())]).collect()
            }
            Machines::Hosts(_) | Machines::Example => {
                OWN.iter().map(|(name, marker)| ((*name).to_owned(), (*marker).into())).collect()
            }
        }
    }

    /// Refuses templates that decide something by `host.name` or `host.address`: for hosts of a yard these are
    /// markers, and no comparison with one is ever true. Renders with the values of hosts, which must give what their
    /// markers give.
    fn refuse_decisions(&self, rendered: &mut RenderedTemplates) {
        let hosts = self.machines.hosts();
        if !self.files.values().any(|text| text.contains("host")) {
            return;
        }
        for host in hosts.iter().take(CHECKED_HOSTS) {
            let own = OwnHost { name: host.name.clone(), address: host.address.clone() };
            let facts = BTreeMap::from([
                ("name".to_owned(), host.name.as_str().into()),
                ("address".to_owned(), host.address.as_str().into()),
            ]);
            let templates = Templates::new(self, &facts);
            for (path, text) in rendered.iter_mut() {
                let Ok(marked) = text.as_deref() else { continue };
                if templates.render(path).as_deref() != Ok(own.fill(marked).as_str()) {
                    *text = Err(self.decides(path, host));
                }
            }
        }
    }

    fn decides(&self, path: &str, host: &YardHost) -> TemplateError {
        let first = self.files.get(path).and_then(|text| {
            let mut numbered = text.lines().zip(1..).filter(|(line, _)| line.contains("host."));
            // A tag with it decides rather than a line that prints it.
            let first = numbered.clone().next();
            numbered.find(|(line, _)| line.contains("{%")).or(first).map(|(_, number)| number)
        });
        TemplateError {
            file: shown_in(&self.root, path),
            line: first.unwrap_or(0),
            expression: None,
            message: format!(
                "a template for several hosts can print `host.name` and `host.address`, not compare or change them: \
                 for host {} it would become another text",
                host.name
            ),
            hint: Some("let the start script of the service decide, by an environment variable".to_owned()),
        }
    }

    /// An error of the whole, which no template is to blame for alone.
    pub(crate) fn failed(&self, message: String) -> TemplateError {
        TemplateError { file: shown_in(&self.root, CONFIG_DIR), line: 0, expression: None, message, hint: None }
    }
}

/// The templates of a package with everything that they may show.
struct Templates<'j> {
    environment: Environment<'static>,
    context: Value,
    job: &'j TemplateJob,
    names: BTreeMap<&'static str, Vec<String>>,
    /// Fuel that the files rendered so far took.
    burnt: Cell<u64>,
}

impl<'j> Templates<'j> {
    fn new(job: &'j TemplateJob, host: &BTreeMap<String, serde_json::Value>) -> Self {
        let (lists, labels) = match job.machines.lists() {
            HostLists::Known(lists) => (Value::from(Serde(&lists)), lists.into_keys().collect()),
            HostLists::One(host) => (AnyLabel::of(Value::from(Serde(vec![host]))), Vec::new()),
            HostLists::Examples(hosts) => (AnyLabel::of(hosts.iter().map(example).collect()), Vec::new()),
        };
        let names = BTreeMap::from([
            ("answers", job.answers.keys().cloned().collect()),
            ("secrets", job.secrets.keys().cloned().collect()),
            ("host", host.keys().cloned().collect()),
            ("hosts", labels),
        ]);
        let context = minijinja::context! {
            answers => Value::from(Serde(&job.answers)),
            secrets => Value::from(Serde(&job.secrets)),
            host => Value::from(Serde(host)),
            hosts => lists,
        };
        let environment = environment(job.files.clone(), job.not_text.clone());
        Self { environment, context, job, names, burnt: Cell::new(0) }
    }

    /// Renders one template; `path` is relative to the package, `config/x/y.conf.j2`.
    fn render(&self, path: &str) -> Result<String, TemplateError> {
        let name = path.strip_prefix(CONFIG_DIR).map_or(path, |p| p.trim_start_matches('/'));
        let template = self.environment.get_template(name).map_err(|e| self.explain(name, &e))?;
        let rendered = template.render_captured(self.context.clone()).map_err(|e| self.explain(name, &e))?;
        let (burnt, _) = rendered.state().fuel_levels().unwrap_or_default();
        self.burnt.set(self.burnt.get() + burnt);
        if self.burnt.get() > PACKAGE_FUEL {
            let whole = minijinja::Error::new(ErrorKind::OutOfFuel, "the package's files together");
            return Err(self.explain(name, &whole));
        }
        Ok(rendered.into_output())
    }

    fn explain(&self, name: &str, error: &minijinja::Error) -> TemplateError {
        // An error within an included file comes wrapped; the innermost has the real place.
        let mut error = error;
        while let Some(inner) = std::error::Error::source(error).and_then(|s| s.downcast_ref::<minijinja::Error>()) {
            error = inner;
        }
        let name = error.name().unwrap_or(name);
        let text = self.job.files.get(&format!("{CONFIG_DIR}/{name}")).map_or("", String::as_str);
        let expression = error.range().and_then(|r| text.get(r)).map(|e| crate::yaml::shorten(e.trim()));
        let mut message = match error.kind() {
            ErrorKind::OutOfFuel => "rendering it takes too much".to_owned(),
            kind => kind.to_string(),
        };
        if let Some(detail) = error.detail() {
            message = format!("{message}: {detail}");
        }
        for value in &self.job.hidden {
            message = message.replace(value.as_str(), "******");
        }
        let line = error.line().unwrap_or(0);
        let whole_line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let hint = match error.kind() {
            ErrorKind::UndefinedError => {
                self.hint(expression.as_deref().unwrap_or_default()).or_else(|| self.hint(whole_line))
            }
            ErrorKind::OutOfFuel => Some(format!(
                "a file may take {FILE_FUEL} instructions or {} MB of text, a package four times as much: \
                 is there a loop too many, or a text that grows in one?",
                FILE_FUEL * 64 / 1_000_000
            )),
            _ => None,
        };
        TemplateError {
            file: shown_in(&self.job.root, &format!("{CONFIG_DIR}/{name}")),
            line,
            expression,
            message,
            hint,
        }
    }

    /// That an object has no value of a name.
    fn missing(&self, object: &str, name: &str) -> String {
        match (object, &self.job.machines) {
            ("hosts", _) => {
                format!(
                    "no host that the stack may use has the label `{name}`: `stackyard host join --label {name}=yes` joins one"
                )
            }
            ("host", Machines::Hosts(_) | Machines::Example) if HostFacts::NAMES.contains(&name) => {
                format!("`{name}` is about one machine, and this stack has several")
            }
            _ => format!("there is no `{name}` in `{object}`"),
        }
    }

    /// Finds `answers.x` and the like with an unknown `x`, and names the nearest.
    fn hint(&self, expression: &str) -> Option<String> {
        let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
        self.names.iter().find_map(|(object, names)| {
            let (_, rest) = expression.split_once(&format!("{object}."))?;
            let name: &str = rest.split(|c| !is_word(c)).next()?;
            if names.iter().any(|n| n == name) {
                return None;
            }
            let near = did_you_mean(name, names.iter().map(String::as_str));
            Some(near.unwrap_or_else(|| self.missing(object, name)))
        })
    }
}

/// An object that has each label, always with the same value.
#[derive(Debug)]
struct AnyLabel(Value);

impl AnyLabel {
    fn of(value: Value) -> Value {
        Value::from_object(Self(value))
    }
}

impl Object for AnyLabel {
    fn get_value(self: &Arc<Self>, _label: &Value) -> Option<Value> {
        Some(self.0.clone())
    }
}

/// An example host as an item of `hosts`.
fn example(host: &YardHost) -> Value {
    let labels = AnyLabel::of(EXAMPLE_LABEL.into());
    minijinja::context! { name => &host.name, address => &host.address, labels => labels }
}

fn environment(files: BTreeMap<String, String>, not_text: BTreeSet<String>) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_debug(true);
    env.set_fuel(Some(FILE_FUEL));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    if let Ok(syntax) = syntax {
        env.set_syntax(syntax);
    }
    env.set_formatter(refuse_none);
    env.set_path_join_callback(|name, parent| {
        if !name.starts_with("./") && !name.starts_with("../") {
            return Cow::Borrowed(name);
        }
        let dir = parent.rsplit_once('/').map_or("", |(dir, _)| dir);
        let joined = crate::source::normalise(format!("{dir}/{name}").trim_start_matches('/'));
        Cow::Owned(joined.unwrap_or_else(|| name.to_owned()))
    });
    env.set_loader(move |name| {
        let path = format!("{CONFIG_DIR}/{name}");
        match files.get(&path) {
            None if not_text.contains(&path) => Err(invalid(format!("{path} is not UTF-8"))),
            text => Ok(text.cloned()),
        }
    });
    env.add_filter("b64encode", |text: String| base64::engine::general_purpose::STANDARD.encode(text));
    env.add_filter("network", |v: String| net(&v).map(|n| n.network().to_string()));
    env.add_filter("netmask", |v: String| net(&v).map(|n| n.netmask().to_string()));
    env.add_filter("broadcast", |v: String| net(&v).map(|n| n.broadcast().to_string()));
    env.add_filter("prefix", |v: String| net(&v).map(|n| n.prefix_len()));
    env.add_filter("address", |v: String| net(&v).map(|n| n.addr().to_string()));
    env.add_filter("ip_version", |v: String| net(&v).map(|n| if n.addr().is_ipv4() { 4 } else { 6 }));
    env.add_filter("host", |v: String, n: i64| nth_host(&net(&v)?, n));
    env
}

fn refuse_none(out: &mut Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_none() {
        return Err(invalid("the value is none; if it is an optional answer, guard it with `if`".into()));
    }
    minijinja::escape_formatter(out, state, value)
}

fn invalid(message: String) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, message)
}

/// A network, or a single address as a network of one.
fn net(text: &str) -> Result<IpNet, minijinja::Error> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| invalid(format!("`{text}` is neither an address nor a network such as 10.0.0.0/24")))
}

/// The n-th address of a network, from 0; negative counts from its end, -1 being the last.
fn nth_host(net: &IpNet, n: i64) -> Result<String, minijinja::Error> {
    let outside = || invalid(format!("the network {net} has no address number {n}"));
    let (first, last) = match net {
        IpNet::V4(v4) => (u128::from(u32::from(v4.network())), u128::from(u32::from(v4.broadcast()))),
        IpNet::V6(v6) => (u128::from(v6.network()), u128::from(v6.broadcast())),
    };
    let at = match u128::try_from(n) {
        Ok(n) => first.checked_add(n),
        Err(_) => last.checked_sub(u128::from(n.unsigned_abs()) - 1),
    };
    let at = at.filter(|a| (first..=last).contains(a)).ok_or_else(outside)?;
    Ok(match net {
        IpNet::V4(_) => std::net::Ipv4Addr::from(u32::try_from(at).map_err(|_| outside())?).to_string(),
        IpNet::V6(_) => std::net::Ipv6Addr::from(at).to_string(),
    })
}

/// A path in messages, of a tree whose root is called `name` there.
pub(crate) fn shown_in(name: &str, path: &str) -> String {
    if name.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("{name}/{path}") }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
