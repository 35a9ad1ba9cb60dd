//! The executable `chipq`; everything lives in the library beside it.

/// The C library's keeps what large pictures took, and is slower where many threads take and give back small pieces
/// (ADR 0030).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    chipq::main(std::env::args_os())
}
