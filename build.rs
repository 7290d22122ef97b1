//! The suite is embedded in the binary: a changed scenario file makes a new one.
fn main() {
    println!("cargo:rerun-if-changed=scenarios");
}
