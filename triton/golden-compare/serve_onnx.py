"""Serves a version's model.onnx on the CPU: Triton's python backend in front of onnxruntime.

Every version folder's model.py imports this one file, so a version is data: its model.onnx. The
digest that config.pbtxt declares for the version, and the names, types and shapes it promises, are
checked when the version is loaded; a version that breaks them is never served.
"""

import hashlib
import json
import os

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

# ONNX Runtime's names of the types that a config.pbtxt of this project may use.
TYPES = {"TYPE_FP32": ("tensor(float)", np.float32)}


class TritonPythonModel:
    """One instance of one version. Triton calls it from one thread at a time."""

    def initialize(self, args):
        # With numpy 2 this Triton's python backend sends empty outputs and says OK.
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} is not usable here: install numpy below 2")
        config = json.loads(args["model_config"])
        version = args["model_version"]
        path = os.path.join(args["model_repository"], version, "model.onnx")
        with open(path, "rb") as file:
            model = file.read()
        check_digest(config, version, model)
        self.session = start_session(model)
        self.inputs = [Promise(tensor) for tensor in config["input"]]
        self.outputs = [Promise(tensor) for tensor in config["output"]]
        check_tensors("inputs", self.inputs, self.session.get_inputs())
        check_tensors("outputs", self.outputs, self.session.get_outputs())
        # A first run, so that a model that loads and cannot compute is not served either.
        blank = [np.ones([1, *promise.shape], promise.type) for promise in self.inputs]
        self.run(blank)

    def execute(self, requests):
        """Answers all requests of a batch by one run; a bad request gets its own error."""
        answers = [None] * len(requests)
        good = []
        for index, request in enumerate(requests):
            try:
                good.append((index, self.tensors_of(request)))
            except ValueError as error:
                answers[index] = refusal(str(error), pb_utils.TritonError.INVALID_ARG)
        self.answer(good, answers)
        return answers

    def answer(self, good, answers):
        """Runs the tensors of all of `good` at once, and one by one where that fails."""
        if not good:
            return
        together = [np.concatenate(parts) for parts in zip(*(tensors for _, tensors in good))]
        try:
            results = self.run(together)
        except Exception as error:  # whatever onnxruntime raises; its neighbours must not suffer
            if len(good) == 1:
                answers[good[0][0]] = refusal(str(error), pb_utils.TritonError.INTERNAL)
                return
            for one in good:
                self.answer([one], answers)
            return
        start = 0
        for index, tensors in good:
            end = start + len(tensors[0])
            answers[index] = pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(promise.name, np.ascontiguousarray(result[start:end]))
                    for promise, result in zip(self.outputs, results)
                ]
            )
            start = end

    def tensors_of(self, request):
        """The request's inputs in the model's order, or ValueError with what is wrong with them."""
        tensors = []
        for promise in self.inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, promise.name)
            if tensor is None:
                raise ValueError(f"the input {promise.name} is missing")
            array = tensor.as_numpy()
            promise.check(array)
            if not np.isfinite(array).all():
                raise ValueError(f"the input {promise.name} has a value that is not a number")
            tensors.append(array)
        if len({len(tensor) for tensor in tensors}) != 1:
            raise ValueError("the inputs differ in their number of rows")
        return tensors

    def run(self, tensors):
        """One run of the session, its outputs checked against what config.pbtxt promises."""
        names = [promise.name for promise in self.outputs]
        fed = {promise.name: tensor for promise, tensor in zip(self.inputs, tensors)}
        results = self.session.run(names, fed)
        for promise, result in zip(self.outputs, results):
            promise.check(result)
            if len(result) != len(tensors[0]):
                rows = f"{len(result)} rows for {len(tensors[0])}"
                raise ValueError(f"the model's output {promise.name} has {rows}")
        return results


class Promise:
    """A tensor as config.pbtxt declares it, without its batch axis."""

    def __init__(self, tensor):
        self.name = tensor["name"]
        if tensor["data_type"] not in TYPES:
            raise ValueError(f"{self.name}: {tensor['data_type']} is not one of {list(TYPES)}")
        self.onnx_type, self.type = TYPES[tensor["data_type"]]
        self.shape = [int(size) for size in tensor["dims"]]

    def check(self, array):
        if array.dtype != self.type or list(array.shape[1:]) != self.shape:
            expected = f"{np.dtype(self.type)} [batch, {', '.join(map(str, self.shape))}]"
            found = f"{array.dtype} {list(array.shape)}"
            raise ValueError(f"{self.name} is {found} instead of {expected}")


def start_session(model):
    options = ort.SessionOptions()
    # One thread an instance: config.pbtxt says how many instances, and so how many cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def check_digest(config, version, model):
    key = f"sha256.{version}"
    declared = config.get("parameters", {}).get(key, {}).get("string_value")
    found = hashlib.sha256(model).hexdigest()
    if declared is None:
        raise ValueError(f"config.pbtxt declares no {key}: run triton/declare-digest")
    if declared != found:
        raise ValueError(
            f"version {version}'s model.onnx is {found}, config.pbtxt declares {key} {declared}: "
            "it is another file, or triton/declare-digest has not been run for it"
        )


def check_tensors(what, promises, found):
    """Refuses a model whose tensors are not those that config.pbtxt promises."""
    by_name = {tensor.name: tensor for tensor in found}
    names = [promise.name for promise in promises]
    if sorted(names) != sorted(by_name):
        raise ValueError(f"model.onnx has the {what} {sorted(by_name)} instead of {sorted(names)}")
    for promise in promises:
        tensor = by_name[promise.name]
        # A size with a name, or none, is one that may vary; the batch axis has to.
        fits = len(tensor.shape) == 1 + len(promise.shape) and not isinstance(tensor.shape[0], int)
        fits = fits and all(
            not isinstance(size, int) or size == wanted
            for size, wanted in zip(tensor.shape[1:], promise.shape)
        )
        if tensor.type != promise.onnx_type or not fits:
            raise ValueError(
                f"model.onnx's {promise.name} is {tensor.type} {tensor.shape} instead of "
                f"{promise.onnx_type} ['batch', {', '.join(map(str, promise.shape))}]"
            )


def refusal(message, code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
