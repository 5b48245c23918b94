//! Images on a real Docker Engine, from a real Debian root, from a real registry.
//!
//! Needs an engine that this user may talk to, mmdebstrap with a Debian mirror, and Debian's
//! `docker-registry`; without these the tests fail and say so.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod build;
mod killed;
mod pull;
mod support;

/// All of it may run in a task of its own: a server does so.
#[allow(dead_code, reason = "compiled, never run")]
fn futures_can_be_sent(docker: &stackyard_platform::docker::Docker, recipe: &stackyard_platform::image::Recipe) {
    use stackyard_platform::image;
    fn send<T: Send>(_: T) {}
    let options = image::Options::new("/");
    send(image::build(docker, recipe, &options, &()));
    send(image::pull(docker, "x", &()));
    send(image::pull_all(docker, &[], &()));
    send(image::extract(docker, "x", "/x", "/".as_ref()));
    send(image::list(docker, &[recipe], "x"));
}
