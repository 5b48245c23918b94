//! Cinder volumes of stacks: what an agent asks for, and what the server, which asks Cinder and Nova, answers.
//!
//! The attachment in the cloud is the lock. A host mounts a volume only while its server has the attachment, and the
//! server detaches only what the host says it has unmounted, or what Nova says is in a server that is off or gone.

use serde::{Deserialize, Serialize};

/// What an agent asks about the Cinder volumes of its host's stacks. Asking twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "volume_ask")]
pub enum VolumeAsk {
    /// Attach a volume to this host. The server creates it if there is none.
    Attach {
        /// The stack.
        stack: String,
        /// The volume's key in the Compose file.
        volume: String,
    },
    /// Detach a volume from this host, which has unmounted it and will not mount it again without asking.
    Detach {
        /// The stack.
        stack: String,
        /// The volume's key in the Compose file.
        volume: String,
    },
}

impl VolumeAsk {
    /// The stack and the key of the volume.
    pub fn volume(&self) -> (&str, &str) {
        match self {
            Self::Attach { stack, volume } | Self::Detach { stack, volume } => (stack, volume),
        }
    }
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "volume_answer")]
pub enum VolumeAnswer {
    /// The volume is attached to the host.
    Attached {
        /// Cinder's id, which is also the disk's serial number.
        id: String,
    },
    /// The volume is not attached to the host.
    Detached,
    /// Not yet: ask again.
    Wait {
        /// What it waits for, for people.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Ask};
    use super::*;

    #[test]
    fn questions_and_answers_survive_the_way() {
        let ask = Ask::Volume(VolumeAsk::Attach { stack: "shop".into(), volume: "db".into() });
        let text = serde_json::to_string(&ask).unwrap();
        assert_eq!(text, r#"{"what":"volume","volume_ask":"attach","stack":"shop","volume":"db"}"#);
        assert_eq!(serde_json::from_str::<Ask>(&text).unwrap(), ask);
        let answer = Answer::Volume(VolumeAnswer::Wait { why: "detaching".into() });
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }
}
