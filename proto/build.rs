//! Compiles the .proto files in Rust: neither protoc nor a network is needed.

use std::path::PathBuf;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=inference");
    println!("cargo::rerun-if-changed=kurrentdb");
    let mut compiler = protox::Compiler::new(["inference"])?;
    compiler.include_imports(true).open_file("grpc_service.proto")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("inference.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        // Tensors are megabytes: attempts to send one share it.
        .bytes(".inference.ModelInferRequest.raw_input_contents")
        .bytes(".inference.ModelInferResponse.raw_output_contents")
        .compile_fds(compiler.file_descriptor_set())?;
    compile_kurrentdb()
}

fn compile_kurrentdb() -> Result<(), Box<dyn error::Error>> {
    let mut compiler = protox::Compiler::new(["kurrentdb"])?;
    compiler.include_imports(true).open_files(["streams.proto", "gossip.proto"])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
