//! Building: what is made, what is kept, what is told, what is left behind.

use crate::support::Yard;
use stackyard_core::progress::{Event, Unit};
use stackyard_platform::image::{self, BuildError, ImageState};
use std::time::Instant;

const MORE: &str = r#"
  - {name: left, from: ground, context: left}
  - {name: right, from: ground, context: right}
names:
  - {name: left-a, from: left, user: "1000:7", env: {A: 'it''s $x "y" \z', B: ""}, labels: {of: us}}
  - {name: left-b, from: left}
  - {name: right-a, from: right}
"#;

fn side(yard: &Yard, name: &str, text: &str) {
    yard.write(&format!("{name}/Dockerfile"), "ARG FROM\nFROM ${FROM}\nCOPY text /text\nRUN cat /text > /copy\n");
    yard.write(&format!("{name}/text"), text);
}

#[tokio::test]
async fn only_what_changed_is_built() {
    let yard = Yard::new("changes").await;
    yard.recipe(MORE);
    side(&yard, "left", "1");
    side(&yard, "right", "1");

    // from nothing
    let built = yard.build().await.unwrap();
    assert_eq!(built.made, ["ground", "left", "left-a", "left-b", "right", "right-a", "rootfs"]);
    assert_eq!(built.kept, 0);
    let steps = yard.steps();
    let names: Vec<_> = steps.keys().map(String::as_str).collect();
    let expected = ["image ground", "image left", "image right", "image rootfs", "names of left", "names of right"];
    assert_eq!(names, expected);
    assert!(steps.values().all(Result::is_ok), "{steps:?}");
    let downloaded = yard.events.lock().unwrap().iter().any(|event| {
        matches!(event, Event::Progress { step, amount: Some(a), .. } if step == "image rootfs" && a.unit == Unit::Bytes && a.total.is_some())
    });
    assert!(downloaded, "bytes of the root's packages are told");
    assert_eq!(yard.leftovers().await, [""; 0]);

    // a name has its parent's layers and its own configuration
    let (left, name) = (yard.inspect("left").await, yard.inspect("left-a").await);
    assert_eq!(left.root_fs.unwrap().layers, name.root_fs.unwrap().layers);
    let config = name.config.unwrap();
    assert_eq!(config.user.as_deref(), Some("1000:7"));
    let env = config.env.unwrap();
    for expected in ["STACKYARD_IMAGE=left-a", r#"A=it's $x "y" \z"#, "B="] {
        assert!(env.iter().any(|e| e == expected), "{expected} in {env:?}");
    }
    let labels = config.labels.unwrap();
    assert_eq!(labels.get("of").map(String::as_str), Some("us"));
    assert_eq!(labels.get(image::UNFINISHED).map(String::as_str), Some(""));
    assert_eq!(labels.get(image::CONTENT).map(String::as_str), Some(yard.read().content("left-a")));

    // again: nothing, at once
    let began = Instant::now();
    let again = yard.build().await.unwrap();
    assert!(again.made.is_empty(), "{again:?}");
    assert_eq!(again.kept, 6);
    assert!(yard.events.lock().unwrap().is_empty());
    assert!(began.elapsed().as_millis() < 1000, "{:?}", began.elapsed());

    // a file of one image: that image and its names; the old ones go
    side(&yard, "left", "2");
    let old = yard.inspect("left").await.id;
    let listing = image::list(&yard.docker, &[&yard.read()], &yard.prefix).await.unwrap();
    let states: Vec<_> = listing.images.iter().map(|i| (i.name.as_str(), i.state)).collect();
    let (fresh, stale) = (ImageState::UpToDate, ImageState::Stale);
    assert_eq!(
        states,
        [
            ("ground", fresh),
            ("left", stale),
            ("right", fresh),
            ("left-a", stale),
            ("left-b", stale),
            ("right-a", fresh)
        ]
    );
    assert_eq!(yard.build().await.unwrap().made, ["left", "left-a", "left-b"]);
    assert_ne!(yard.inspect("left").await.id, old);
    assert_eq!(yard.leftovers().await, [""; 0]);

    // a name alone
    yard.recipe(&MORE.replace("of: us", "of: them"));
    assert_eq!(yard.build().await.unwrap().made, ["left-a"]);

    // a new parent, though the recipe says the same
    let options = image::Options { refresh: true, ..yard.options() };
    assert_eq!(yard.build_with(&options).await.unwrap().made.len(), 7);
    assert!(yard.build().await.unwrap().made.is_empty());
    assert_eq!(yard.leftovers().await, [""; 0]);

    let listing = image::list(&yard.docker, &[&yard.read()], &yard.prefix).await.unwrap();
    assert!(listing.images.iter().all(|i| i.state == ImageState::UpToDate && i.size > 1_000_000));
    let largest = listing.images.iter().map(|i| i.size).max().unwrap();
    assert!(listing.total >= largest && listing.total < largest + 100_000, "{listing:?}");
    assert_eq!(listing.images[3].unique, 0, "a name has no layers of its own");
}

#[tokio::test]
async fn a_failing_step_shows_its_output_and_the_rest_is_kept() {
    let yard = Yard::new("fails").await;
    yard.recipe("  - {name: cake, from: ground, context: cake}\n");
    let dockerfile =
        "ARG FROM\nFROM ${FROM}\nRUN echo made >/first\nRUN echo no flour from https://me:pw@shop/; exit 3\n";
    yard.write("cake/Dockerfile", dockerfile);

    let error = yard.build().await.unwrap_err();
    let BuildError::Step { image, step, output, .. } = &error else { panic!("{error:?}") };
    assert_eq!((image.as_str(), step.as_str()), ("cake", "5/8"));
    assert!(output.contains("no flour from https://***@shop/"), "{output}");
    assert!(error.to_string().contains("returned a non-zero code: 3"), "{error}");
    let steps = yard.steps();
    assert_eq!(steps["image ground"].as_deref(), Ok("built"));
    assert!(steps["image cake"].as_ref().unwrap_err().contains("no flour"));
    assert!(yard.docker.api().inspect_image(&yard.reference("cake")).await.is_err());

    // mended: the root and the ground are not made again
    yard.write("cake/Dockerfile", &dockerfile.replace("exit 3", "true"));
    assert_eq!(yard.build().await.unwrap().made, ["cake"]);
    assert_eq!(yard.leftovers().await, [""; 0]);
}

#[tokio::test]
async fn a_root_that_cannot_be_made_leaves_no_image() {
    let yard = Yard::new("root").await;
    yard.recipe("");
    let recipe = std::fs::read_to_string(yard.recipe_folder().join("image.yaml")).unwrap();
    yard.write("image.yaml", &recipe.replace("busybox-static", "no-such-package-at-all"));
    let error = yard.build().await.unwrap_err().to_string();
    assert!(error.contains("Unable to locate package no-such-package-at-all"), "{error}");
    assert!(yard.docker.api().inspect_image(&yard.reference("rootfs")).await.is_err());
}

#[tokio::test]
async fn files_come_out_of_images_and_recipes_build_on_others() {
    let yard = Yard::new("extract").await;
    // the parent is another recipe's and not there yet
    yard.write("image.yaml", "name: top\nrelease: \"1\"\nimages:\n  - {name: top, from: ground, context: top}\n");
    yard.write(
        "top/Dockerfile",
        "ARG FROM\nFROM ${FROM} AS make\nRUN echo disk >/disk\nFROM scratch\nCOPY --from=make /disk /disk\n",
    );
    let error = yard.build().await.unwrap_err().to_string();
    assert!(error.contains("/ground:1, which is not there; build or pull that first"), "{error}");
    let top = std::fs::read(yard.recipe_folder().join("image.yaml")).unwrap();
    yard.recipe("");
    yard.build().await.unwrap();
    yard.write("image.yaml", std::str::from_utf8(&top).unwrap());
    assert_eq!(yard.build().await.unwrap().made, ["top"]);
    assert!(yard.build().await.unwrap().made.is_empty());

    let target = yard.folder.path().join("out");
    let size = image::extract(&yard.docker, &yard.reference("top"), "/disk", &target).await.unwrap();
    assert_eq!((size, std::fs::read_to_string(&target).unwrap().as_str()), (5, "disk\n"));
    let error = image::extract(&yard.docker, &yard.reference("top"), "/none", &target).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot take /none out of image"), "{error}");
    let error = image::extract(&yard.docker, &yard.reference("ground"), "/bin", &target).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("not a plain file"), "{error}");
}
