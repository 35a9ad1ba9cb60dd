"""The golden-comparison network, its crops, and its ONNX file.

Crops are records of 3,156 bytes: class (1 byte, 0 is background), the centre on the board (x + 4096 y, 3 bytes), the
box's left, top, right and bottom distance from the crop's centre in pixels (little-endian f32), two planes (test,
golden) of 112 x 112 bits, least significant bit first, set where there is copper.

Crops of photographs are records of 25,108 bytes: the same, but for planes of bytes: levels in one light, 0 as bright as
the golden crop (copper is bright), 255 as dark.

The network: [n, 2, 96, 96] (0 copper or as bright, 1 substrate or as dark) -> probabilities [n, 8], sides [n, 4] in pixels.
"""
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STORED, SIDE = 112, 96
SPARE = STORED - SIDE
RECORD = np.dtype(
    [("class", "u1"), ("centre", "u1", 3), ("sides", "<f4", 4), ("planes", "u1", (2, STORED, STORED // 8))]
)
PHOTOGRAPH_RECORD = np.dtype([*RECORD.descr[:3], ("planes", "u1", (2, STORED, STORED))])
CLASSES = ["background", "open", "short", "mousebite", "spur", "copper", "pin-hole", "missing-hole"]
SIDE_SCALE, SIDE_OFFSET = 16.0, 20.0

# What happens at full resolution is fixed and small: copper too much, copper too little, and the test picture. Where
# two planes differ is not linear, so that a first layer of strides could not see it pixel by pixel.
ENCODING = [[-1.0, 1.0], [1.0, -1.0], [1.0, 0.0]]
# Outputs of the convolutions after it, but for the last: multiples of six, which is how many rten computes at a time.
WIDTHS = [24, 36, 36, 54, 54]
# Kernel, stride and padding of each of them, and of the last, which has LAST outputs.
KERNELS = [(6, 4, 1), (3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1), (1, 1, 0)]
LAST = 24
HIDDEN = 96


def convs_of(widths):
    """Outputs, kernel, stride and padding of every convolution."""
    return [(outputs, *kernel) for outputs, kernel in zip([*widths, LAST], KERNELS, strict=True)]


class Network(nn.Module):
    def __init__(self, convs=None, hidden=HIDDEN, classes=len(CLASSES)):
        super().__init__()
        blocks, inputs, side = [], len(ENCODING), SIDE
        for outputs, kernel, stride, padding in convs or convs_of(WIDTHS):
            conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
            blocks.append(nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU()))
            inputs, side = outputs, (side + 2 * padding - kernel) // stride + 1
        self.convs = nn.ModuleList(blocks)
        self.hidden = nn.Linear(inputs * side * side, hidden)
        self.drop = nn.Dropout(0.1)
        self.classes = nn.Linear(hidden, classes)
        self.sides = nn.Linear(hidden, 4)

    def forward(self, x):
        """Class logits and sides of encoded crops."""
        for conv in self.convs:
            x = conv(x)
        x = self.drop(torch.relu(self.hidden(torch.flatten(x.contiguous(), 1))))
        return self.classes(x), self.sides(x) * SIDE_SCALE + SIDE_OFFSET

    def freeze_norms(self):
        """Batch-norms keep what they have learnt: after loading from ONNX they only carry the folded bias."""
        for block in self.convs:
            block[1].eval()


@torch.no_grad()
def slimmed(large, widths):
    """A narrower network that begins with the strongest channels of a larger one: those whose weights on the way in and
    on the way out are largest (Li et al. 2017, Pruning Filters for Efficient ConvNets)."""
    network = Network(convs_of(widths), large.hidden.out_features)
    inputs = torch.arange(len(ENCODING))
    following = [conv[0].weight for conv in large.convs[1:]]
    for conv, (wide, norm), after in zip(network.convs, (conv[:2] for conv in large.convs), [*following, None]):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        strength = (wide.weight * scale[:, None, None, None]).flatten(1).norm(dim=1)
        if after is not None:
            strength = strength * after.transpose(0, 1).flatten(1).norm(dim=1)
        outputs = torch.topk(strength, conv[0].out_channels).indices.sort().values
        conv[0].weight.copy_(wide.weight[outputs][:, inputs])
        for name in ["weight", "bias", "running_mean", "running_var"]:
            getattr(conv[1], name).copy_(getattr(norm, name)[outputs])
        inputs = outputs
    for name in ["hidden", "classes", "sides"]:
        layer, wide = getattr(network, name), getattr(large, name)
        layer.weight[: len(wide.bias)], layer.bias[: len(wide.bias)] = wide.weight, wide.bias
    return network


def unpack(records):
    """Planes [n, 2, STORED, STORED]: 0 and 1 of bits, shares of 1 in float32 of levels."""
    if records.dtype == PHOTOGRAPH_RECORD:
        return records["planes"].astype(np.float32) / 255
    bits = np.unpackbits(records["planes"], axis=-1, bitorder="little")
    return 1 - bits  # copper is 0


def centre(records):
    """Crops as the shipped pipeline cuts them."""
    planes = unpack(records)[:, :, SPARE // 2 : SPARE // 2 + SIDE, SPARE // 2 : SPARE // 2 + SIDE]
    return planes, records["sides"], records["class"].astype(np.int64)


def tensors(planes, sides, classes):
    """Encoded crops, sides and classes."""
    test, golden = planes[:, 0], planes[:, 1]
    # As ENCODING and ReLU do.
    if planes.dtype == np.uint8:
        encoded = np.stack([golden & ~test, test & ~golden, test], -1) & 1
    else:
        encoded = np.stack([np.maximum(golden - test, 0), np.maximum(test - golden, 0), test], -1)
    x = torch.from_numpy(encoded).permute(0, 3, 1, 2).float()
    return x, torch.from_numpy(np.ascontiguousarray(sides)), torch.from_numpy(classes)


@torch.no_grad()
def answer(network, records, batch=512):
    """Logits and sides for records, as numpy arrays."""
    network.eval()
    logits, sides = [np.empty((0, network.classes.out_features), np.float32)], [np.empty((0, 4), np.float32)]
    for start in range(0, len(records), batch):
        x, *_ = tensors(*centre(records[start : start + batch]))
        answers = network(x)
        logits.append(answers[0].float().numpy())
        sides.append(answers[1].float().numpy())
    return np.concatenate(logits), np.concatenate(sides)


def export(network, path, temperature=1.0):
    """Writes ONNX by hand: batch-norm folded, opset 17, a named batch axis, nothing that varies by exporter. The
    temperature divides the logits, so that no engine needs to know of it."""
    network.eval()
    nodes, weights, last = [], [], "crops"

    def weight(name, tensor):
        weights.append(numpy_helper.from_array(tensor.detach().float().numpy(), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    encoding = weight("encoding", torch.tensor(ENCODING)[:, :, None, None])
    node("Conv", [last, encoding], "encoded", kernel_shape=[1, 1], pads=[0] * 4, strides=[1, 1])
    last = node("Relu", ["encoded"], "encoded_relu")
    for i, conv in enumerate(network.convs):
        folded = fuse_conv_bn_eval(conv[0], conv[1])
        inputs = [last, weight(f"conv{i}.weight", folded.weight), weight(f"conv{i}.bias", folded.bias)]
        last = node("Conv", inputs, f"conv{i}", kernel_shape=list(folded.kernel_size),
                    pads=list(folded.padding) * 2, strides=list(folded.stride))
        last = node("Relu", [last], f"relu{i}")
    last = node("Flatten", [last], "flat", axis=1)

    def linear(name, layer, scale=1.0, offset=0.0):
        inputs = [last, weight(f"{name}.weight", layer.weight * scale),
                  weight(f"{name}.bias", layer.bias * scale + offset)]
        return node("Gemm", inputs, name, transB=1)

    linear("hidden", network.hidden)
    last = node("Relu", ["hidden"], "hidden_relu")
    linear("logits", network.classes, 1.0 / temperature)
    node("Softmax", ["logits"], "probabilities", axis=1)
    linear("sides", network.sides, SIDE_SCALE, SIDE_OFFSET)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
    graph = helper.make_graph(
        nodes, "golden-compare", [value("crops", 2, SIDE, SIDE)],
        [value("probabilities", network.classes.out_features), value("sides", 4)], weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="chipq")
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def load(path, classes=None):
    """The network of an ONNX file that `export` wrote; with more classes than it has, the new ones know nothing."""
    graph = onnx.load(path).graph
    weights = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    convs = []
    for node in (node for node in graph.node if f"{node.name}.weight" in weights and node.op_type == "Conv"):
        a = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        convs.append((weights[f"{node.name}.weight"].shape[0], a["kernel_shape"][0], a["strides"][0], a["pads"][0]))
    known = weights["logits.bias"].shape[0]
    network = Network(convs, weights["hidden.bias"].shape[0], classes or known)
    with torch.no_grad():
        for i, (conv, norm, _) in enumerate(network.convs):
            conv.weight.copy_(weights[f"conv{i}.weight"])
            norm.weight.fill_((1.0 + norm.eps) ** 0.5)
            norm.bias.copy_(weights[f"conv{i}.bias"])
        for name, scale, offset in [("hidden", 1, 0), ("classes", 1, 0), ("sides", SIDE_SCALE, SIDE_OFFSET)]:
            layer, stored = getattr(network, name), {"classes": "logits"}.get(name, name)
            rows = known if name == "classes" else len(layer.bias)
            layer.weight[:rows] = weights[f"{stored}.weight"] / scale
            layer.bias[:rows] = (weights[f"{stored}.bias"] - offset) / scale
    return network
