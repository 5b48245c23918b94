//! Embedded files count as source: a new or changed one makes the binary anew.

fn main() {
    println!("cargo::rerun-if-changed=../../catalog");
    println!("cargo::rerun-if-changed=../../images");
}
