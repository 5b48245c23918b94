//! MTU arithmetic: how large a packet fits through nested encapsulations.
//!
//! An MTU is the size of the largest IP packet, header included, in bytes. A [`Layer`] takes
//! packets of at most so many bytes and sends larger ones through what lies beneath; a
//! [`Path`] is an underlay with layers on it, from the outermost (next to the wire) to the
//! innermost (next to the application), to any depth.
//!
//! Two functions are each other's inverse, and everything else follows from them:
//! [`Layer::payload`] (what fits into an underlay) and [`Layer::needed`] (what underlay a
//! payload needs). For every layer and size `needed(payload(u)) <= u`, and no larger payload
//! has that property.
//!
//! What Neutron computes for its networks, which knows fewer layers, is in [`neutron`]. A path that is
//! really there, whose layers say what they are set to, is a [`Chain`].

mod chain;
mod layer;
pub mod neutron;
mod parse;
pub mod search;

pub use chain::{Basis, Chain, Hop, Place, Stretch, Verdict};
pub use layer::{Carries, EspCipher, EspMode, Ip, Layer};
pub use parse::{NoLayer, WORDS};

use serde::Serialize;

/// Smallest MTU of an IPv4 link in bytes (RFC 791, section 3.2).
pub const MIN_IPV4: u32 = 68;
/// Smallest MTU of an IPv6 link in bytes (RFC 8200, section 5).
pub const MIN_IPV6: u32 = 1280;

/// An underlay and what it carries, layer by layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Path {
    /// MTU of the underlay in bytes.
    pub underlay: u32,
    /// The layers, outermost first.
    pub steps: Vec<Step>,
}

/// One layer of a [`Path`] with its numbers, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Short name: `Geneve over IPv4`.
    pub name: String,
    /// MTU beneath this layer.
    pub underlay: u32,
    /// What the layer takes of it, padding included.
    pub overhead: u32,
    /// MTU that is left for what the layer carries.
    pub payload: u32,
    /// The sum behind `overhead`: `IPv4 20 + UDP 8 + Geneve 8 + options 8 + Ethernet 14`.
    pub formula: String,
    /// Where the formula comes from.
    pub source: &'static str,
}

/// A layer leaves less than an IPv4 link must carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} on an MTU of {underlay} bytes leaves less than the {MIN_IPV4} bytes that an IPv4 link must carry")]
pub struct TooSmall {
    /// Name of the layer.
    pub name: String,
    /// MTU beneath it in bytes.
    pub underlay: u32,
}

impl Path {
    /// Puts `layers` (outermost first) on an underlay with an MTU of `underlay` bytes.
    ///
    /// # Errors
    /// [`TooSmall`] names the layer that leaves less than [`MIN_IPV4`].
    pub fn new(underlay: u32, layers: &[Layer]) -> Result<Self, TooSmall> {
        let mut beneath = underlay;
        let mut steps = Vec::with_capacity(layers.len());
        for layer in layers {
            let payload = layer
                .payload(beneath)
                .filter(|&p| p >= MIN_IPV4)
                .ok_or_else(|| TooSmall { name: layer.to_string(), underlay: beneath })?;
            steps.push(Step {
                name: layer.to_string(),
                underlay: beneath,
                overhead: beneath - payload,
                payload,
                formula: layer.formula(beneath - payload),
                source: layer.source(),
            });
            beneath = payload;
        }
        Ok(Self { underlay, steps })
    }

    /// MTU inside all layers, in bytes.
    pub fn payload(&self) -> u32 {
        self.steps.last().map_or(self.underlay, |s| s.payload)
    }

    /// What all layers together take, in bytes.
    pub fn overhead(&self) -> u32 {
        self.underlay - self.payload()
    }

    /// Whether IPv6 can be used inside (RFC 8200, section 5).
    pub fn carries_ipv6(&self) -> bool {
        self.payload() >= MIN_IPV6
    }

    /// The path as text, one line for the underlay and one for each layer.
    pub fn explain(&self) -> String {
        let mut text = format!("{:>5}  underlay\n", self.underlay);
        for s in &self.steps {
            text += &format!("{:>5}  {}: -{} ({})\n", s.payload, s.name, s.overhead, s.formula);
        }
        if !self.carries_ipv6() {
            text += &format!("       IPv6 needs {MIN_IPV6} (RFC 8200, section 5)\n");
        }
        text
    }
}

/// Smallest underlay in bytes that carries packets of `payload` bytes through `layers`
/// (outermost first).
pub fn needed(payload: u32, layers: &[Layer]) -> u32 {
    layers.iter().rev().fold(payload, |size, layer| layer.needed(size))
}

#[cfg(test)]
mod tests;
