//! Makes cargo recompile this crate when a migration is added or changed: `sqlx::migrate!` embeds
//! the files, but does not watch the folder for new ones.

fn main() {
    println!("cargo:rerun-if-changed=../schemas/migrations");
    println!("cargo:rerun-if-changed=build.rs");
}
