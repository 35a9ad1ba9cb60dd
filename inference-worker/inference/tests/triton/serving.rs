//! The model repository itself: what loads, what is refused, and that what serves goes on serving.

use std::fs;
use std::process::Command;

use super::repository::Repository;
use super::server::{Ports, TritonServer, project, run};

/// The declaration of another file's digest, of the same length.
const ANOTHER_DIGEST: &str = "sha256.1\" value { string_value: \"0000";

#[test]
fn the_configurations_declare_the_digests_of_the_files_beside_them() {
    run(Command::new(project().join("triton/declare-digest")).arg("--check"));
}

#[test]
fn a_version_that_is_not_the_declared_file_is_refused_and_the_old_ones_go_on_serving() {
    let repository = Repository::new();
    let server = TritonServer::start(&repository);

    repository.add_changed_version(2, |_| ());
    let why = server.load().unwrap_err();
    assert!(why.contains("declares no sha256.2: run triton/declare-digest"), "{why}");

    repository.declare();
    server.load().unwrap();

    // The file grows by a byte after its digest was declared.
    repository.remove_version(2);
    repository.add_version(3);
    let model = repository.model().join("3/model.onnx");
    fs::write(&model, [fs::read(&model).unwrap(), vec![0]].concat()).unwrap();
    let why = server.load().unwrap_err();
    assert!(why.contains("config.pbtxt declares sha256.3"), "{why}");
    assert_eq!(server.versions(), ["1 READY", "2 READY", "3 UNAVAILABLE"]);
}

#[test]
fn a_server_whose_model_is_not_the_declared_one_does_not_become_ready() {
    let repository = Repository::new();
    let digest = fs::read_to_string(repository.model().join("config.pbtxt")).unwrap();
    let start = digest.find("sha256.1\" value").unwrap();
    repository.configure(&digest[start..start + ANOTHER_DIGEST.len()], ANOTHER_DIGEST);
    let why = TritonServer::try_start(&repository, Ports::free(), &[]).err().unwrap();
    assert!(why.contains("it is another file, or triton/declare-digest has not been run"), "{why}");
}

#[test]
fn a_model_with_other_tensors_than_promised_is_refused() {
    let repository = Repository::new();
    repository.configure("dims: [ 8 ]", "dims: [ 7 ]");
    let why = TritonServer::try_start(&repository, Ports::free(), &[]).err().unwrap();
    assert!(why.contains("model.onnx's probabilities is tensor(float) ['batch', 8]"), "{why}");
}

#[test]
fn triton_reads_the_configuration_for_a_gpu_up_to_the_backend_that_is_not_here() {
    let repository = Repository::new();
    let started = TritonServer::try_start(&repository, Ports::free(), &["--model-config-name=gpu"]);
    let why = started.err().expect("there is no onnxruntime backend in this server");
    assert!(why.contains("unable to find backend library for backend 'onnxruntime'"), "{why}");
}
