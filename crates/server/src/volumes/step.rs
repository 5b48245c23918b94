//! The decision about one volume: pure, so that tests can try all orders of events.

use std::fmt;

/// The state of a volume in Cinder and Nova, for a host that asks about it.
#[derive(Debug, Clone)]
pub(super) struct VolumeState<'a> {
    /// Cinder's status.
    pub status: &'a str,
    /// The server of the host that asks.
    pub server: &'a str,
    /// Whether Cinder says that this server has it.
    pub in_cinder: bool,
    /// Whether Nova lists it among this server's volumes.
    pub in_nova: bool,
    /// Another server that Cinder says has it.
    pub other: Option<VolumeHolder>,
}

/// Another server that has the volume.
#[derive(Debug, Clone)]
pub(super) struct VolumeHolder {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its power.
    pub power: ServerPower,
}

/// Whether a server may still write to its volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServerPower {
    /// Nova says that it is shut off, and nothing is being done to it.
    Off,
    /// Nova has no such server any more.
    Deleted,
    /// Anything else, with Nova's status.
    On(String),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VolumeStep {
    /// Nothing: it is as it should be.
    Done,
    /// Attach it to the server of the host.
    Attach,
    /// Detach it from this server.
    Detach(String),
    /// Look again soon: the cloud is at work, in words.
    Look(String),
    /// Another server has it; nothing here can change that. In words, with the way out.
    Held(String),
    /// It does not pass by itself. In words.
    Refuse(String),
}

impl fmt::Display for VolumeHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, power } = self;
        match power {
            ServerPower::Deleted => write!(f, "the deleted server {id}"),
            ServerPower::Off => write!(f, "server {name}, which is shut off"),
            ServerPower::On(status) => write!(f, "server {name} ({status})"),
        }
    }
}

impl VolumeState<'_> {
    /// The next step for a host that wants the volume.
    pub fn toward_attached(&self) -> VolumeStep {
        if self.status.starts_with("error") {
            return VolumeStep::Refuse(format!(
                "it is in state {}; `openstack volume show` says more, and `stackyard volume remove` removes one that was \
                 never used",
                self.status
            ));
        }
        if let Some(other) = &self.other {
            return self.leave(other);
        }
        match self.status {
            "in-use" if self.in_nova && self.in_cinder => VolumeStep::Done,
            "available" if !self.in_nova && !self.in_cinder => VolumeStep::Attach,
            status => VolumeStep::Look(format!("it is {status}")),
        }
    }

    /// The next step while another server has it.
    fn leave(&self, other: &VolumeHolder) -> VolumeStep {
        match &other.power {
            _ if self.status == "detaching" => VolumeStep::Look(format!("it is being detached from {other}")),
            // Nova is the one who says that the server cannot write any more.
            ServerPower::Off => VolumeStep::Detach(other.id.clone()),
            ServerPower::Deleted => VolumeStep::Held(format!(
                "Cinder still says that it is attached to {other}; an administrator must look at `cinder attachment-list`"
            )),
            ServerPower::On(_) => VolumeStep::Held(format!(
                "it is still attached to {other}; it moves once that host has unmounted it, or once the server is shut \
                 off or deleted (`openstack server stop {}`)",
                other.name
            )),
        }
    }

    /// The next step for a host that has unmounted the volume.
    pub fn toward_detached(&self) -> VolumeStep {
        match self.status {
            _ if !self.in_nova && !self.in_cinder => VolumeStep::Done,
            "in-use" if self.in_nova => VolumeStep::Detach(self.server.to_owned()),
            status => VolumeStep::Look(format!("it is {status} at the server of this host")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A volume, and two hosts that want it in turns.
    #[derive(Debug, Default)]
    struct VolumeWorld {
        status: String,
        /// The server that Nova and Cinder say has it.
        holder: Option<usize>,
        mounted: [bool; 2],
        /// It has unmounted the volume, and asks for nothing but to have it detached.
        released: [bool; 2],
        off: [bool; 2],
        deleted: [bool; 2],
        /// Times that it was attached.
        attached: u32,
    }

    #[derive(Debug, Clone, Copy)]
    enum VolumeEvent {
        /// The host asks for the volume, and mounts it once it has it.
        Want(usize),
        /// The host unmounts, and says so.
        Release(usize),
        /// The cloud gets on with what it does.
        Pass,
        Stop(usize),
        Start(usize),
        Delete(usize),
        /// The agent is killed and starts again: it mounts what its ledger says, if the disk is there.
        Restart(usize),
    }

    const NAMES: [&str; 2] = ["a", "b"];

    impl VolumeWorld {
        fn state(&self, host: usize) -> VolumeState<'_> {
            let is_here = self.holder == Some(host);
            let other = self.holder.filter(|h| *h != host).map(|h| VolumeHolder {
                id: NAMES[h].to_owned(),
                name: NAMES[h].to_owned(),
                power: match (self.deleted[h], self.off[h]) {
                    (true, _) => ServerPower::Deleted,
                    (_, true) => ServerPower::Off,
                    _ => ServerPower::On("ACTIVE".to_owned()),
                },
            });
            VolumeState { status: &self.status, server: NAMES[host], in_cinder: is_here, in_nova: is_here, other }
        }

        fn carry_out(&mut self, step: &VolumeStep, host: usize) {
            match step {
                VolumeStep::Attach => {
                    assert_eq!((self.status.as_str(), self.holder), ("available", None), "a second attachment");
                    (self.status, self.holder, self.attached) = ("attaching".into(), Some(host), self.attached + 1);
                }
                VolumeStep::Detach(from) => {
                    let from = NAMES.iter().position(|n| n == from).unwrap();
                    assert!(!self.mounted[from], "detached while it was mounted");
                    assert!(self.released[from] || self.off[from]);
                    self.status = "detaching".into();
                }
                VolumeStep::Done | VolumeStep::Look(_) | VolumeStep::Held(_) | VolumeStep::Refuse(_) => {}
            }
        }

        fn happen(&mut self, event: VolumeEvent) {
            match event {
                VolumeEvent::Want(h) if !self.off[h] && !self.deleted[h] => {
                    // An agent asks again before it mounts what it has released.
                    let step = self.state(h).toward_attached();
                    self.carry_out(&step, h);
                    if step == VolumeStep::Done {
                        (self.mounted[h], self.released[h]) = (true, false);
                    }
                }
                VolumeEvent::Release(h) if !self.off[h] && !self.deleted[h] => {
                    (self.mounted[h], self.released[h]) = (false, true);
                    let step = self.state(h).toward_detached();
                    self.carry_out(&step, h);
                }
                VolumeEvent::Pass => match self.status.as_str() {
                    "attaching" => self.status = "in-use".into(),
                    "detaching" => (self.status, self.holder) = ("available".into(), None),
                    _ => {}
                },
                VolumeEvent::Stop(h) => (self.off[h], self.mounted[h]) = (true, false),
                VolumeEvent::Start(h) => self.off[h] = false,
                VolumeEvent::Delete(h) => {
                    (self.deleted[h], self.mounted[h]) = (true, false);
                    if self.holder == Some(h) {
                        (self.status, self.holder) = ("available".into(), None);
                    }
                }
                VolumeEvent::Restart(h) if !self.off[h] && !self.deleted[h] => {
                    let has_disk = self.holder == Some(h) && self.status == "in-use";
                    self.mounted[h] = has_disk && !self.released[h];
                }
                VolumeEvent::Want(_) | VolumeEvent::Release(_) | VolumeEvent::Restart(_) => {}
            }
            assert!(!(self.mounted[0] && self.mounted[1]), "two hosts have it mounted");
            let holder = self.holder;
            assert!((0..2).all(|h| !self.mounted[h] || holder == Some(h)), "mounted without an attachment");
        }
    }

    fn event() -> impl Strategy<Value = VolumeEvent> {
        let host = 0usize..2;
        prop_oneof![
            4 => host.clone().prop_map(VolumeEvent::Want),
            3 => host.clone().prop_map(VolumeEvent::Release),
            4 => Just(VolumeEvent::Pass),
            1 => host.clone().prop_map(VolumeEvent::Stop),
            1 => host.clone().prop_map(VolumeEvent::Start),
            1 => host.clone().prop_map(VolumeEvent::Restart),
            1 => (1usize..2).prop_map(VolumeEvent::Delete),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn never_two_hosts(events in prop::collection::vec(event(), 1..60)) {
            let mut world = VolumeWorld { status: "available".into(), ..VolumeWorld::default() };
            for event in events {
                world.happen(event);
            }
            // Once the other one is off, and the cloud has had its time, the first host gets it.
            (world.off[1], world.mounted[1]) = (true, false);
            world.off[0] = false;
            for _ in 0..6 {
                world.happen(VolumeEvent::Want(0));
                world.happen(VolumeEvent::Pass);
            }
            prop_assert!(world.mounted[0]);
        }
    }

    #[test]
    fn only_a_server_that_is_off_loses_its_volume() {
        let holder = |power| VolumeHolder { id: "i".into(), name: "web-1".into(), power };
        let state = |status, power| VolumeState {
            status,
            server: "b",
            in_cinder: false,
            in_nova: false,
            other: Some(holder(power)),
        };
        let on = || ServerPower::On("ACTIVE".into());
        let VolumeStep::Held(why) = state("in-use", on()).toward_attached() else { panic!("it is held") };
        assert!(why.contains("server web-1 (ACTIVE)") && why.contains("openstack server stop web-1"), "{why}");
        assert_eq!(state("in-use", ServerPower::Off).toward_attached(), VolumeStep::Detach("i".into()));
        assert!(matches!(state("detaching", on()).toward_attached(), VolumeStep::Look(_)));
        assert!(matches!(state("in-use", ServerPower::Deleted).toward_attached(), VolumeStep::Held(_)));
        assert!(matches!(state("error_detaching", ServerPower::Off).toward_attached(), VolumeStep::Refuse(_)));
        // Nova and Cinder must both say so.
        let lag = VolumeState { status: "in-use", server: "b", in_cinder: true, in_nova: false, other: None };
        assert!(
            matches!(lag.toward_attached(), VolumeStep::Look(_))
                && matches!(lag.toward_detached(), VolumeStep::Look(_))
        );
    }
}
