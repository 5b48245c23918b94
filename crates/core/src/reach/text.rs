//! The table as text.

use super::{Cell, End, Grant, PartyKind, Table, Why};
use std::fmt::Write as _;

impl End {
    /// For people: `pool web (3)`.
    pub fn label(&self) -> String {
        let kind = match self.kind {
            PartyKind::Anywhere => return "anywhere".to_owned(),
            PartyKind::Addresses => return self.name.clone(),
            PartyKind::Group => "group",
            PartyKind::Server => "server",
            PartyKind::Pool => "pool",
            PartyKind::Container => "containers",
            PartyKind::LoadBalancer => "load balancer",
        };
        let count = if self.count > 1 { format!(" ({})", self.count) } else { String::new() };
        format!("{kind} {}{count}", self.name)
    }
}

impl Why {
    /// For people.
    pub fn label(&self) -> String {
        match self {
            Self::Rule(name) => name.clone(),
            Self::Listener(port) => format!("listener {port}"),
            Self::Open => "port security is off".to_owned(),
        }
    }
}

impl Grant {
    /// For people: `tcp 80`, and what is to be said of it.
    pub fn label(&self) -> String {
        let mut text = self.what.clone();
        if self.some {
            text += ", some of them";
        }
        if self.blocked {
            text += ", no member lets it in";
        }
        text
    }
}

impl Table {
    /// What goes from a row to a column.
    pub fn cell(&self, from: &str, to: &str) -> &[Grant] {
        let found = self.cells.iter().find(|c: &&Cell| c.from == from && c.to == to);
        found.map_or(&[], |c| &c.grants)
    }

    /// What reaches each target, line by line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for to in &self.targets {
            let doors = match (to.doors.as_slice(), to.kind) {
                ([], _) => "no floating IP".to_owned(),
                (doors, _) => doors.join(", "),
            };
            writeln!(text, "{} [{doors}]", to.label()).ok();
            let mut lines = 0;
            for from in &self.sources {
                for grant in self.cell(&from.id, &to.id) {
                    let by = grant.by.iter().map(Why::label).collect::<Vec<_>>().join(" + ");
                    writeln!(text, "  <- {:24} {:24} {by}", from.label(), grant.label()).ok();
                    lines += 1;
                }
            }
            if lines == 0 {
                text += "  no other member\n";
            }
        }
        text
    }
}
