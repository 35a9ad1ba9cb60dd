//! The executable `chipq`; everything lives in the library beside it.

fn main() -> std::process::ExitCode {
    chipq::main(std::env::args_os())
}
