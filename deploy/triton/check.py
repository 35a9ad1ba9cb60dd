"""Starts a Triton server with a model that does nothing, and waits until it is ready.

Usage: check.py TRITONSERVER. It proves what an import cannot: that the server runs, that its python
stub finds libpython, numpy and onnxruntime. On failure the server's log goes to stderr.
"""

import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SECONDS = 60

CONFIG = """
backend: "python"
max_batch_size: 1
input [ { name: "in" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "out" data_type: TYPE_FP32 dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU } ]
"""

MODEL = """
import numpy
import onnxruntime

class TritonPythonModel:
    def initialize(self, args):
        if not numpy.__version__.startswith("1."):
            raise RuntimeError("numpy " + numpy.__version__ + " instead of 1")
    def execute(self, requests):
        raise RuntimeError("this model only shows that the server starts")
"""


def main():
    with tempfile.TemporaryDirectory(prefix="chipq-triton-check-") as folder:
        model = pathlib.Path(folder, "repository", "check")
        (model / "1").mkdir(parents=True)
        (model / "config.pbtxt").write_text(CONFIG)
        (model / "1" / "model.py").write_text(MODEL)
        log = pathlib.Path(folder, "log")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            sys.argv[1],
            f"--model-repository={model.parent}",
            "--disable-auto-complete-config",
            "--http-address=127.0.0.1",
            f"--http-port={port}",
            "--allow-grpc=false",
            "--allow-metrics=false",
        ]
        with log.open("wb") as output:
            server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            why = wait(server, f"http://127.0.0.1:{port}/v2/health/ready")
        finally:
            server.terminate()
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
        if why:
            sys.stderr.write("".join(log.read_text(errors="replace").splitlines(True)[-40:]))
            sys.exit(f"Triton's server was installed, but {why}; its last words are above")


def wait(server, ready):
    """None once the server is ready, else why it never will be."""
    ends = time.monotonic() + SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < ends:
        if server.poll() is not None:
            return f"it ended with status {server.returncode}"
        try:
            with direct.open(ready, timeout=2):
                return None
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return f"it was not ready after {SECONDS} s"


main()
