//! `image.yaml` of an image recipe, among the files of both recipes of this repository.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_platform::image::{Files, Recipe};
use std::borrow::Cow;
use std::io;

const OTHERS: [&str; 6] = [
    "Dockerfile",
    "base/Dockerfile",
    "infra/Dockerfile",
    "openstack/Dockerfile",
    "openstack/requirements.txt",
    "hypervisor/Dockerfile",
];

struct Memory<'a>(&'a [u8]);

impl Files for Memory<'_> {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(OTHERS.into_iter().chain(["image.yaml"]).map(str::to_owned).collect())
    }

    fn read(&self, path: &str) -> io::Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(if path == "image.yaml" { self.0 } else { b"a==1 --hash=sha256:0 # size=30\n" }))
    }
}

fuzz_target!(|data: &[u8]| match Recipe::read(&Memory(data)) {
    Ok(recipe) => {
        for image in &recipe.images {
            // SHA-256 in hex.
            assert_eq!(recipe.content(&image.name).len(), 64);
            let _ = (recipe.pip_bytes(image), recipe.context(image).count());
            assert!(recipe.reduced_to(&[&image.name]).images.iter().any(|i| i.name == image.name));
        }
        assert!(recipe.names.iter().all(|name| recipe.content(&name.name).len() == 64));
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
