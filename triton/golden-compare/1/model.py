"""Triton looks for this file in every version folder; what it does stands beside config.pbtxt."""

from serve_onnx import TritonPythonModel  # noqa: F401
