//! A path that is really there, layer by layer: what each is set to, against what the one beneath it
//! carries.
//!
//! [`super::Path`] says what fits; here layers say what they are set to, which may be too much. A layer
//! breaks the path if it lets in larger packets than the layer beneath it says that it carries: small
//! packets pass then, and large ones vanish. It is compared with what the one beneath is *set* to, so that
//! one mistake is shown once, where it was made. What gets through in the end is worked out from the
//! outermost layer inwards, mistakes included.

use super::Layer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a layer of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MtuPlace)]
pub enum Place {
    /// What is beneath the cloud's networks.
    Underlay,
    /// A Neutron network.
    Network,
    /// A machine's interface.
    Link,
    /// The networks of a host's containers.
    Containers,
}

/// Where a layer's MTU is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MtuBasis)]
pub enum Basis {
    /// Somebody gave it.
    Given,
    /// It is at least so much: Neutron gives no network more than it has been told of.
    AtLeast,
    /// Neutron says so.
    Neutron,
    /// The host's agent says so.
    Agent,
    /// Nobody says.
    Unknown,
}

/// A layer as it is set, to be put on the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// What it is.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// The MTU that it is set to, in bytes; `None` if nobody says.
    pub set: Option<u32>,
    /// Who says.
    pub basis: Basis,
    /// How it runs in the one beneath; `None` if nobody says (Neutron shows administrators only).
    pub layer: Option<Layer>,
}

/// How a layer stands to the one beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MtuVerdict)]
pub enum Verdict {
    /// It uses all that fits.
    Fits,
    /// More would fit.
    Spare,
    /// It is not known whether it fits.
    Unknown,
    /// It lets in packets that the one beneath does not carry.
    TooLarge,
}

/// A layer with its numbers, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MtuHop)]
pub struct Hop {
    /// What it is.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// How it runs in the one beneath, as `Geneve over IPv4`.
    pub layer: Option<String>,
    /// What that takes.
    pub overhead: Option<u32>,
    /// The sum behind it: `IPv4 20 + UDP 8 + Geneve 8 + options 8 + Ethernet 14`.
    pub formula: Option<String>,
    /// What fits, by what the one beneath is set to.
    pub fits: Option<u32>,
    /// What it is set to.
    pub set: Option<u32>,
    /// Where that is known from.
    pub basis: Basis,
    /// What really gets through, mistakes further out included.
    pub carries: Option<u32>,
    /// How it stands to the one beneath.
    pub verdict: Verdict,
}

/// A path, outermost layer first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MtuChain)]
pub struct Chain {
    /// The layers.
    pub hops: Vec<Hop>,
    /// The largest packet that the innermost layer lets in, in bytes.
    pub lets_in: Option<u32>,
    /// The largest packet that gets through all layers, in bytes.
    pub carries: Option<u32>,
    /// Whether a layer is too large, so that packets vanish.
    pub breaks: bool,
}

impl Chain {
    /// Puts layers on each other, outermost first.
    pub fn of(stretches: impl IntoIterator<Item = Stretch>) -> Self {
        let mut hops: Vec<Hop> = Vec::new();
        // What the layer beneath says that it carries, and what it really carries.
        let (mut said, mut real): (Option<u32>, Option<u32>) = (None, None);
        for stretch in stretches {
            let Stretch { place, name, set, basis, layer } = stretch;
            let through = |beneath: Option<u32>| {
                let (beneath, layer) = (beneath?, layer.as_ref()?);
                // Where not even the headers fit, nothing does.
                Some((beneath, layer.payload(beneath).unwrap_or(0)))
            };
            let fit = through(said);
            let fits = fit.map(|(_, fits)| fits);
            let overhead = fit.map(|(beneath, fits)| beneath - fits);
            let verdict = match (hops.is_empty(), set, fits) {
                (true, Some(_), _) => Verdict::Fits,
                (false, Some(set), Some(fits)) if set > fits => Verdict::TooLarge,
                (false, Some(set), Some(fits)) if set < fits => Verdict::Spare,
                (false, Some(_), Some(_)) => Verdict::Fits,
                _ => Verdict::Unknown,
            };
            let carried = through(real).map(|(_, fits)| fits);
            let carries = [set, carried].into_iter().flatten().min();
            let formula = match (&layer, overhead) {
                (Some(layer), Some(overhead)) if overhead > 0 && fits != Some(0) => Some(layer.formula(overhead)),
                _ => None,
            };
            let layer = layer.as_ref().filter(|_| !hops.is_empty()).map(ToString::to_string);
            hops.push(Hop { place, name, layer, overhead, formula, fits, set, basis, carries, verdict });
            (said, real) = (set.or(fits), carries);
        }
        let breaks = hops.iter().any(|h| h.verdict == Verdict::TooLarge);
        Self { lets_in: said, carries: real, breaks, hops }
    }

    /// The path as text: a line for each layer, and what to do where it breaks.
    pub fn explain(&self) -> String {
        let number = |n: Option<u32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mut text = String::new();
        for hop in &self.hops {
            let what = match hop.place {
                Place::Underlay => format!("underlay {}", hop.name),
                Place::Network => format!("network {}", hop.name),
                Place::Link => format!("interface {}", hop.name),
                Place::Containers => format!("containers {}", hop.name),
            };
            let what = what.trim_end();
            text += &format!("{:>5}  {what}", number(hop.set.or(hop.fits)));
            if let (Some(layer), Some(overhead)) = (&hop.layer, hop.overhead) {
                text += &match &hop.formula {
                    Some(formula) => format!(", {layer}: -{overhead} ({formula})"),
                    None => format!(", {layer}"),
                };
            }
            text += match hop.basis {
                Basis::AtLeast => ", at least",
                Basis::Given => ", as given",
                Basis::Agent => ", as its agent says",
                Basis::Neutron | Basis::Unknown => "",
            };
            text += &match (hop.verdict, hop.set, hop.fits) {
                (Verdict::TooLarge, Some(set), Some(fits)) => {
                    format!(" -- TOO LARGE by {}: {fits} fit", set - fits)
                }
                (Verdict::Spare, Some(set), Some(fits)) => format!(" ({} more would fit)", fits - set),
                _ => String::new(),
            };
            text.push('\n');
        }
        if self.breaks {
            text += &format!(
                "       packets of more than {} bytes vanish; {} are let in\n",
                number(self.carries),
                number(self.lets_in)
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ip;
    use super::*;

    fn stretch(place: Place, set: Option<u32>, layer: Option<Layer>) -> Stretch {
        let basis = if set.is_some() { Basis::Neutron } else { Basis::Unknown };
        Stretch { place, name: "x".into(), set, basis, layer }
    }

    fn chain(underlay: Option<u32>, network: Option<u32>, link: Option<u32>, containers: Option<u32>) -> Chain {
        Chain::of([
            stretch(Place::Underlay, underlay, None),
            stretch(Place::Network, network, Some(Layer::ovn_geneve(Ip::V4))),
            stretch(Place::Link, link, Some(Layer::Flat)),
            stretch(Place::Containers, containers, Some(Layer::Flat)),
        ])
    }

    fn verdicts(chain: &Chain) -> Vec<Verdict> {
        chain.hops.iter().map(|h| h.verdict).collect()
    }

    #[test]
    fn all_that_fits_is_used() {
        let chain = chain(Some(1500), Some(1442), Some(1442), Some(1442));
        assert_eq!(verdicts(&chain), [Verdict::Fits; 4]);
        assert_eq!((chain.lets_in, chain.carries, chain.breaks), (Some(1442), Some(1442), false));
        let network = &chain.hops[1];
        assert_eq!(
            (network.overhead, network.fits, network.layer.as_deref()),
            (Some(58), Some(1442), Some("Geneve over IPv4"))
        );
        assert_eq!(network.formula.as_deref(), Some("IPv4 20 + UDP 8 + Geneve 8 + options 8 + Ethernet 14"));
        assert_eq!(chain.hops[2].formula, None);
    }

    #[test]
    fn one_mistake_is_shown_once_where_it_is() {
        let of_docker = chain(Some(1500), Some(1442), Some(1442), Some(1500));
        assert_eq!(verdicts(&of_docker), [Verdict::Fits, Verdict::Fits, Verdict::Fits, Verdict::TooLarge]);
        assert_eq!((of_docker.lets_in, of_docker.carries, of_docker.breaks), (Some(1500), Some(1442), true));
        // What is above a network that promises too much does as it is told.
        let of_network = chain(Some(1500), Some(1500), Some(1500), Some(1500));
        assert_eq!(verdicts(&of_network), [Verdict::Fits, Verdict::TooLarge, Verdict::Fits, Verdict::Fits]);
        assert_eq!((of_network.carries, of_network.breaks), (Some(1442), true));
        let spare = chain(Some(9000), Some(1442), Some(1442), Some(1400));
        assert_eq!(verdicts(&spare), [Verdict::Fits, Verdict::Spare, Verdict::Fits, Verdict::Spare]);
        assert_eq!((spare.carries, spare.breaks), (Some(1400), false));
    }

    #[test]
    fn what_nobody_says_is_not_guessed() {
        let chain = chain(None, Some(1442), None, Some(1500));
        assert_eq!(verdicts(&chain), [Verdict::Unknown, Verdict::Unknown, Verdict::Unknown, Verdict::TooLarge]);
        // A link that nobody reports is as large as its network lets it be.
        assert_eq!(chain.hops[2].fits, Some(1442));
        assert_eq!((chain.lets_in, chain.carries, chain.breaks), (Some(1500), Some(1442), true));
        let hidden = Chain::of([
            stretch(Place::Underlay, Some(1500), None),
            stretch(Place::Network, Some(1450), None),
            stretch(Place::Link, Some(1450), Some(Layer::Flat)),
        ]);
        assert_eq!(verdicts(&hidden), [Verdict::Fits, Verdict::Unknown, Verdict::Fits]);
        assert_eq!(hidden.carries, Some(1450));
    }

    #[test]
    fn headers_that_do_not_fit_leave_nothing() {
        let chain = chain(Some(40), Some(1442), None, None);
        assert_eq!((chain.hops[1].fits, chain.hops[1].verdict), (Some(0), Verdict::TooLarge));
        assert_eq!((chain.carries, chain.hops[1].formula.as_deref()), (Some(0), None));
        assert_eq!(Chain::of([]), Chain { hops: vec![], lets_in: None, carries: None, breaks: false });
    }

    #[test]
    fn the_path_as_text() {
        let text = chain(Some(1500), Some(1442), Some(1442), Some(1500)).explain();
        assert_eq!(
            text,
            " 1500  underlay x\n 1442  network x, Geneve over IPv4: -58 (IPv4 20 + UDP 8 + Geneve 8 + options 8 + Ethernet 14)\n \
             1442  interface x, flat\n 1500  containers x, flat -- TOO LARGE by 58: 1442 fit\n       \
             packets of more than 1442 bytes vanish; 1500 are let in\n"
        );
    }
}
