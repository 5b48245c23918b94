//! The picture of a yard as SVG, made without any other program and always the same for the same
//! yard.
//!
//! ```text
//!                 ═══ public ══════════════════════════   networks outside: bars on top
//!                    [router]      (floating IP)          the edge
//!  front  ───────────────┴──[balancer]────────────────    each network a lane: its line,
//!                              [web]     [db]             balancers above, servers below it
//!                                        (data)           with their volumes
//!  back   ─────────────────────────────────┘              more networks of a server: its gutter
//!  [files] [spare]                                        what is in no network
//! ```
//!
//! Servers with several networks have a column of their own through all lanes, so that no line
//! crosses a box. What the cloud does not have is dashed.

use super::super::Key;
use super::super::intend::Intended;
use super::super::observed::Observed;
use super::inside::Stacks;
use super::scene::{Scene, ServerBox, Target};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// Width of lane labels, in pixels.
const LABEL: i32 = 150;
/// Width that a router takes.
const ROUTER: i32 = 140;
/// Width of a column with its gutters.
const COLUMN: i32 = 180;
/// Width of what stands in a column.
const BOX: i32 = 136;
/// Height of a server's box.
const SERVER: i32 = 58;
/// Height that a service takes in the box of its host.
const CHIP: i32 = 22;
/// Height of what has one or two lines: routers, balancers, floating IPs, volumes.
const SMALL: i32 = 38;
/// Between rows.
const GAP: i32 = 14;
/// Letters that fit into a box.
const LETTERS: usize = 20;
/// So many servers that differ only by their number become one box.
const CROWD: usize = 8;
/// Colors of lanes, in turn.
const COLORS: [&str; 6] = ["#2f6fb3", "#3a8f5c", "#b3602f", "#7a4fa3", "#a33f5f", "#5f7a2f"];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1d2733}\
.n{font-weight:600}.s{font-size:10px;fill:#5a6675}.b{fill:#fff;stroke:#4a5563}\
.e{fill:none;stroke:#7b8794}.m{fill:none;stroke:#7b8794;stroke-dasharray:2 3}.x{stroke-dasharray:5 4}\
.c{fill:#e8f1ec;stroke:#3a8f5c}.f{fill:#fbe9e7;stroke:#b3261e}";

/// The yard as SVG; `notes` says more about resources: addresses, states. What runs of stacks is in
/// the boxes of hosts.
pub fn svg(intended: &Intended, observed: &Observed, notes: &BTreeMap<Key, String>, stacks: &Stacks) -> String {
    let scene = Scene::of(intended, stacks, CROWD);
    let there = observed.resources.iter().map(|s| &s.key).collect();
    let layout = Layout::of(&scene);
    let mut drawing = Drawing { scene: &scene, layout, there, notes, back: String::new(), front: String::new() };
    drawing.draw();
    let (width, height) = (drawing.layout.width, drawing.layout.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>yard {}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        escape(&intended.yard)
    );
    out += &drawing.back;
    out += &drawing.front;
    out + "</svg>\n"
}

/// Where everything is.
struct Layout {
    width: i32,
    height: i32,
    /// Where columns begin.
    left: i32,
    /// Top of routers and floating IPs.
    edge: i32,
    /// Per lane: top, height, height of its line.
    lanes: Vec<(i32, i32, i32)>,
    /// Per server's box: column and lane.
    boxes: Vec<(i32, usize)>,
    /// Per balancer: column.
    balancers: Vec<i32>,
    /// Per floating IP: column and how many are above it there.
    floating: Vec<(i32, i32)>,
    shelf: i32,
}

impl Layout {
    fn of(scene: &Scene) -> Self {
        // Servers of several lanes first, each in a column of its own.
        let wide = scene.boxes.iter().filter(|b| b.lanes.len() > 1).count() as i32;
        let (mut own, mut next) = (0, vec![wide; scene.lanes.len().max(1)]);
        let boxes: Vec<(i32, usize)> = (scene.boxes.iter())
            .map(|b| {
                let lane = b.lanes.first().copied().unwrap_or(0);
                let at = if b.lanes.len() > 1 { &mut own } else { &mut next[lane] };
                *at += 1;
                (*at - 1, lane)
            })
            .collect();
        let mut next_balancer = vec![0; scene.lanes.len()];
        let balancers: Vec<i32> = (scene.balancers.iter())
            .map(|b| {
                next_balancer[b.lane] += 1;
                next_balancer[b.lane] - 1
            })
            .collect();
        let mut stacked: BTreeMap<i32, i32> = BTreeMap::new();
        let mut free = 0;
        let mut floating: Vec<(i32, i32)> = Vec::new();
        for f in &scene.floating {
            let column = match f.to {
                Target::Server(i) => boxes[i].0,
                Target::Balancer(i) => balancers[i],
                Target::Nowhere => {
                    free += 1;
                    free - 1
                }
            };
            let above = stacked.entry(column).or_default();
            floating.push((column, *above));
            *above += 1;
        }
        let edge = 16 + scene.outside.len() as i32 * 30 + GAP;
        let rows = stacked.values().copied().max().unwrap_or(0).max(i32::from(!scene.routers.is_empty()));
        let mut top = edge + rows * (SMALL + GAP) + GAP;
        let mut lanes = Vec::new();
        for lane in 0..scene.lanes.len() {
            let upper = if scene.balancers.iter().any(|b| b.lane == lane) { SMALL + GAP } else { 0 };
            let inside = || scene.boxes.iter().zip(&boxes).filter(|(_, at)| at.1 == lane);
            let tallest = inside().map(|(b, _)| height(b) + b.volumes.len() as i32 * (SMALL + 4)).max();
            let lower = tallest.map_or(GAP, |t| 2 * GAP + t);
            let height = (GAP + upper + lower + GAP).max(54);
            lanes.push((top, height, top + GAP + upper));
            top += height + GAP;
        }
        let shelf = top;
        let shelved = (scene.shelf.len() + scene.stacks.len()) as i32;
        let height = if shelved == 0 { top } else { top + SMALL + GAP };
        let columns = boxes.iter().map(|b| b.0).chain(balancers.iter().copied()).chain(floating.iter().map(|f| f.0));
        let columns = columns.max().map_or(1, |m| m + 1).max(shelved);
        let left = LABEL + ROUTER * scene.routers.len() as i32;
        let width = left + COLUMN * columns + GAP;
        Self { width, height, left, edge, lanes, boxes, balancers, floating, shelf }
    }

    /// Left edge of what stands in a column.
    fn x(&self, column: i32) -> i32 {
        self.left + column * COLUMN + (COLUMN - BOX) / 2
    }
}

struct Drawing<'a> {
    scene: &'a Scene,
    layout: Layout,
    there: HashSet<&'a Key>,
    notes: &'a BTreeMap<Key, String>,
    /// Lanes and lines.
    back: String,
    /// Boxes.
    front: String,
}

impl Drawing<'_> {
    fn draw(&mut self) {
        self.outside();
        self.lanes();
        self.routers();
        self.balancers();
        self.servers();
        self.floating();
        for (i, key) in self.scene.shelf.iter().enumerate() {
            let (x, y) = (self.layout.x(i as i32), self.layout.shelf);
            self.small(x, y, Some(key), key.kind.noun(), &key.name, 4);
        }
        for (i, (name, words, well)) in self.scene.stacks.iter().enumerate() {
            let (x, y) = (self.layout.x((self.scene.shelf.len() + i) as i32), self.layout.shelf);
            self.chip(x, y, (BOX, SMALL), *well, &format!("stack {name}: {words}"), &[("stack", false), (name, true)]);
        }
    }

    fn outside(&mut self) {
        for (i, name) in self.scene.outside.iter().enumerate() {
            let y = outside_y(i);
            let width = self.layout.width - LABEL - GAP;
            let _ =
                writeln!(self.back, "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{width}\" height=\"6\" fill=\"#9aa5b1\"/>");
            self.label(12, y + 8, name, "outside");
        }
    }

    fn label(&mut self, x: i32, y: i32, name: &str, below: &str) {
        let _ = writeln!(
            self.front,
            "<g><title>{0}</title><text class=\"n\" x=\"{x}\" y=\"{y}\">{1}</text><text class=\"s\" x=\"{x}\" y=\"{2}\">{3}</text></g>",
            escape(name),
            escape(&short(name)),
            y + 13,
            escape(&short(below)),
        );
    }

    fn lanes(&mut self) {
        for (i, lane) in self.scene.lanes.iter().enumerate() {
            let (top, height, line) = self.layout.lanes[i];
            let (color, width) = (COLORS[i % COLORS.len()], self.layout.width - GAP);
            let missing = lane.key.as_ref().is_some_and(|k| !self.there.contains(k));
            let dashed = if missing { " stroke-dasharray=\"8 5\"" } else { "" };
            let _ = writeln!(
                self.back,
                "<rect x=\"6\" y=\"{top}\" width=\"{}\" height=\"{height}\" rx=\"6\" fill=\"{color}\" fill-opacity=\"0.07\"/>\n\
                 <path d=\"M{LABEL} {line}H{}\" stroke=\"{color}\" stroke-width=\"4\"{dashed}/>",
                width - 6,
                width - 6,
            );
            let below = if lane.key.is_none() { "outside the yard".to_owned() } else { lane.cidrs.join(", ") };
            self.label(12, line, &lane.name, &below);
        }
    }

    fn routers(&mut self) {
        for (i, router) in self.scene.routers.iter().enumerate() {
            let (x, y) = (LABEL + ROUTER * i as i32, self.layout.edge);
            let middle = x + (ROUTER - 20) / 2;
            if let Some(outside) = router.outside {
                self.line(middle, y, middle, outside_y(outside) + 6);
            }
            for lane in &router.lanes {
                let line = self.layout.lanes[*lane].2;
                self.line(middle, y + SMALL, middle, line);
                self.dot(middle, line, *lane);
            }
            let name = &router.name;
            self.boxed(x, y, ROUTER - 20, SMALL, router.key.as_ref(), 19, &[("router", false), (name, true)]);
        }
    }

    fn balancers(&mut self) {
        for (i, balancer) in self.scene.balancers.iter().enumerate() {
            let line = self.layout.lanes[balancer.lane].2;
            let (x, y) = (self.layout.x(self.layout.balancers[i]), line - GAP - SMALL + 6);
            self.line(x + BOX / 2, y + SMALL, x + BOX / 2, line);
            self.dot(x + BOX / 2, line, balancer.lane);
            for member in &balancer.members {
                let (column, lane) = self.layout.boxes[*member];
                let (to_x, to_y) = (self.layout.x(column) + BOX / 2 + 12, self.server_top(lane));
                let from = (x + BOX / 2 + 12, y + SMALL);
                let _ = writeln!(
                    self.back,
                    "<path class=\"m\" d=\"M{} {}C{} {} {to_x} {} {to_x} {to_y}\"/>",
                    from.0,
                    from.1,
                    from.0,
                    from.1 + 24,
                    to_y - 24,
                );
            }
            let head = format!("balancer {}", balancer.listeners.join(", "));
            self.boxed(x, y, BOX, SMALL, Some(&balancer.key), 4, &[(&head, false), (&balancer.key.name, true)]);
        }
    }

    fn server_top(&self, lane: usize) -> i32 {
        self.layout.lanes.get(lane).map_or(self.layout.shelf, |l| l.2 + 2 * GAP)
    }

    fn servers(&mut self) {
        for (i, server) in self.scene.boxes.iter().enumerate() {
            let (column, lane) = self.layout.boxes[i];
            let (x, y) = (self.layout.x(column), self.server_top(lane));
            for (nth, lane) in server.lanes.iter().enumerate() {
                let line = self.layout.lanes[*lane].2;
                if nth == 0 {
                    self.line(x + BOX / 2, y, x + BOX / 2, line);
                    self.dot(x + BOX / 2, line, *lane);
                } else {
                    // Further networks through the gutter on the left.
                    let gutter = x - 5 * nth.min(3) as i32;
                    let _ = writeln!(
                        self.back,
                        "<path class=\"e\" d=\"M{x} {}H{gutter}V{line}\"/>",
                        y + 10 + 8 * nth as i32
                    );
                    self.dot(gutter, line, *lane);
                }
            }
            let key = Key::new(super::super::Kind::Server, &server.names[0]);
            let many = server.names.len();
            let name = match (server.names.first(), server.names.last()) {
                (Some(first), Some(last)) if many > 1 => format!("{first} ... {last}"),
                _ => server.names[0].clone(),
            };
            let note = match many {
                1 => self.notes.get(&key).cloned().unwrap_or_default(),
                _ => format!("{many} servers"),
            };
            let groups = server.groups.join(", ");
            if many > 1 {
                let _ = writeln!(
                    self.back,
                    "<rect class=\"b\" x=\"{}\" y=\"{}\" width=\"{BOX}\" height=\"{}\" rx=\"4\"/>",
                    x + 5,
                    y + 5,
                    height(server)
                );
            }
            self.boxed(x, y, BOX, height(server), Some(&key), 4, &[(&name, true), (&note, false), (&groups, false)]);
            for (nth, service) in server.inside.iter().enumerate() {
                let y = y + SERVER + nth as i32 * CHIP - 4;
                let text = match (service.working, service.containers) {
                    (1, 1) => service.name.clone(),
                    (working, all) if working == all => format!("{all} x {}", service.name),
                    (working, all) => format!("{working}/{all} {}", service.name),
                };
                let title = format!("service {}: {service}", service.name);
                let well = service.working == service.containers;
                self.chip(x + 6, y, (BOX - 12, CHIP - 4), well, &title, &[(&text, false)]);
            }
            for (nth, volume) in server.volumes.iter().enumerate() {
                let y = y + height(server) + 4 + nth as i32 * (SMALL + 4);
                self.small(x + 10, y, Some(volume), "volume", &volume.name, 10);
            }
        }
    }

    fn floating(&mut self) {
        for (i, floating) in self.scene.floating.iter().enumerate() {
            let (column, above) = self.layout.floating[i];
            let (x, y) = (self.layout.x(column), self.layout.edge + above * (SMALL + GAP));
            if let Some(outside) = floating.outside {
                let at = x + 14 + 10 * above;
                self.line(at, y, at, outside_y(outside) + 6);
            }
            // Down through the gutter on the right.
            let gutter = x + BOX + 6 + 5 * above.min(2);
            let to = match floating.to {
                Target::Nowhere => None,
                Target::Server(at) => Some(self.server_top(self.layout.boxes[at].1) + 12),
                Target::Balancer(at) => Some(self.layout.lanes[self.scene.balancers[at].lane].2 - GAP - SMALL + 18),
            };
            if let Some(to) = to {
                let (from, right) = (y + SMALL / 2, x + BOX);
                let _ = writeln!(self.back, "<path class=\"e\" d=\"M{right} {from}H{gutter}V{to}H{right}\"/>");
            }
            let head = match self.notes.get(&floating.key) {
                Some(address) => address.clone(),
                None => "floating IP".to_owned(),
            };
            self.small(x, y, Some(&floating.key), &head, &floating.key.name, 19);
        }
    }

    fn small(&mut self, x: i32, y: i32, key: Option<&Key>, head: &str, name: &str, round: i32) {
        let width = if round == 10 { BOX - 20 } else { BOX };
        self.boxed(x, y, width, SMALL, key, round, &[(head, false), (name, true)]);
    }

    /// A small box about stacks, green if all is well, else red.
    fn chip(&mut self, x: i32, y: i32, size: (i32, i32), well: bool, title: &str, lines: &[(&str, bool)]) {
        let class = if well { "c" } else { "f" };
        let _ = write!(
            self.front,
            "<g><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"3\"/>",
            escape(title),
            size.0,
            size.1
        );
        self.texts(x, y - if lines.len() == 1 { 2 } else { 0 }, lines);
        self.front += "</g>\n";
    }

    /// A box with lines of text; those that are true are names.
    #[allow(clippy::too_many_arguments, reason = "a box has a place, a size and a look")]
    fn boxed(
        &mut self,
        x: i32,
        y: i32,
        width: i32,
        height: i32,
        key: Option<&Key>,
        round: i32,
        lines: &[(&str, bool)],
    ) {
        let missing = if key.is_some_and(|k| !self.there.contains(k)) { " x" } else { "" };
        let title = key.map(|k| match self.notes.get(k) {
            Some(note) => format!("{k}: {note}"),
            None => k.to_string(),
        });
        self.front += "<g>";
        if let Some(title) = title {
            let _ = write!(self.front, "<title>{}</title>", escape(&title));
        }
        let _ = write!(
            self.front,
            "<rect class=\"b{missing}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>"
        );
        self.texts(x, y, lines);
        self.front += "</g>\n";
    }

    fn texts(&mut self, x: i32, y: i32, lines: &[(&str, bool)]) {
        for (i, (text, name)) in lines.iter().filter(|(t, _)| !t.is_empty()).enumerate() {
            let (class, at) = (if *name { "n" } else { "s" }, y + 15 + 16 * i as i32);
            let _ = write!(
                self.front,
                "<text class=\"{class}\" x=\"{}\" y=\"{at}\">{}</text>",
                x + 9,
                escape(&fit(text, *name))
            );
        }
    }

    fn line(&mut self, x: i32, y: i32, to_x: i32, to_y: i32) {
        let _ = writeln!(self.back, "<path class=\"e\" d=\"M{x} {y}L{to_x} {to_y}\"/>");
    }

    fn dot(&mut self, x: i32, y: i32, lane: usize) {
        let color = COLORS[lane % COLORS.len()];
        let _ = writeln!(self.front, "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" fill=\"{color}\"/>");
    }
}

/// Height of a server's box with what runs in it.
fn height(server: &ServerBox) -> i32 {
    SERVER + server.inside.len() as i32 * CHIP
}

fn outside_y(i: usize) -> i32 {
    16 + 30 * i as i32
}

fn short(text: &str) -> String {
    fit(text, true)
}

/// What fits into a box; small letters are more.
fn fit(text: &str, large: bool) -> String {
    let most = if large { LETTERS - 2 } else { LETTERS + 2 };
    match text.char_indices().nth(most) {
        Some((end, _)) if text.chars().nth(most + 1).is_some() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// For text and attributes; characters that XML cannot hold are left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
