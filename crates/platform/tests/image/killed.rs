//! Builds killed at any moment.

use crate::support::{Yard, options};
use rand::RngExt;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, Folder, Recipe};
use std::process::{Command, Stdio};
use std::time::Duration;

const KILLS: usize = 8;
const FOLDER: &str = "STACKYARD_TEST_IMAGE_FOLDER";
const PREFIX: &str = "STACKYARD_TEST_IMAGE_PREFIX";

/// Not a test: the process that the test below kills.
#[tokio::test]
#[ignore = "started by the test below"]
async fn victim() {
    let (Some(folder), Ok(prefix)) = (std::env::var_os(FOLDER), std::env::var(PREFIX)) else { return };
    let folder = std::path::PathBuf::from(folder);
    let docker = Docker::connect().await.unwrap();
    let recipe = Recipe::read(&Folder(folder.join("recipe"))).unwrap();
    image::build(&docker, &recipe, &options(&folder, &prefix), &()).await.unwrap();
}

#[tokio::test]
async fn a_killed_build_is_taken_up_and_leaves_nothing() {
    let yard = Yard::new("killed").await;
    yard.recipe(
        "  - {name: slow, from: ground, context: slow}\nnames:\n  - {name: a, from: slow}\n  - {name: b, from: slow}\n",
    );
    yard.write(
        "slow/Dockerfile",
        "ARG FROM\nFROM ${FROM}\nRUN sleep 1; date >/1\nRUN sleep 1; date >/2\nRUN sleep 1; date >/3\n",
    );
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--ignored"])
            .env(FOLDER, yard.folder.path())
            .env(PREFIX, &yard.prefix)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let moment = rand::rng().random_range(100..7000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    yard.build().await.unwrap();
    assert_eq!(yard.leftovers().await, [""; 0]);
    assert!(yard.build().await.unwrap().made.is_empty());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let state = yard.folder.path().display().to_string();
    assert!(!mounts.contains(&state), "mounts of a killed mmdebstrap");
}
