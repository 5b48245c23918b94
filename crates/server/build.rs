//! The console is embedded as it lies in `web/dist` (`make web`); a change of it makes this crate anew.

fn main() {
    println!("cargo:rerun-if-changed=../../web/dist");
}
