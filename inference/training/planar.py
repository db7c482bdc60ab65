"""An exported network with one-dimensional convolutions -> the same with two-dimensional ones of height 1.

onnxruntime has its fast convolutions, blocked by channels and fused with what follows, for images only
(NCHWc). The same weights as images of height 1 give the same logits in 0.7 to 0.8 of the time.
"""

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

HEIGHT_AXIS = 2  # (batch, channels, height, time)
WINDOWED = ("Conv", "AveragePool", "MaxPool")  # have a kernel along time
ELEMENTWISE = ("Relu", "Add")  # take any rank, as long as both inputs have the same
PER_AXIS = ("kernel_shape", "strides", "dilations")
_AXIS_NAME = "planar_height_axis"


def planar(model: ModelProto) -> ModelProto:
    """A copy whose convolutions and pools are two-dimensional; inputs and outputs stay as they are.

    Those which are two-dimensional already are left alone, so that doing it twice changes nothing more.

    Raises:
        ValueError: a convolution whose weights are not stored in the file as they are used; an output of the
            network that is the output of a convolution.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    rewriting = _Rewriting()
    for node in graph.node:
        rewriting.push(node)
        if is_along_time(node):
            _raise_window(node, weights)
    for output in graph.output:
        if output.name in rewriting.raised:
            raise ValueError(f"the output {output.name} would get a height: end the network in a head")
    if _AXIS_NAME not in weights:
        graph.initializer.append(helper.make_tensor(_AXIS_NAME, TensorProto.INT64, [1], [HEIGHT_AXIS]))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(rewriting.nodes)
    onnx.checker.check_model(changed)
    return changed


def is_along_time(node: NodeProto) -> bool:
    """Whether a node is a convolution or pool with a one-dimensional kernel."""
    kernels = [attribute.ints for attribute in node.attribute if attribute.name == "kernel_shape"]
    return node.op_type in WINDOWED and len(kernels) == 1 and len(kernels[0]) == 1


class _Rewriting:
    """Nodes in order, with a view in between wherever a tensor gets or loses its height."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.raised: set[str] = set()  # tensors that have a height
        self._views: dict[str, str] = {}  # a tensor -> its name with or without height

    def push(self, node: NodeProto) -> None:
        """Keep a node; one along time, or elementwise on tensors that have a height, gets a height itself."""
        is_raised = [name in self.raised for name in node.input]
        rises = is_along_time(node) or (node.op_type in ELEMENTWISE and all(is_raised))
        for i, name in enumerate(node.input[:1] if node.op_type in WINDOWED else node.input):  # no weights
            if name and rises != (name in self.raised):
                node.input[i] = self._view(name, "Unsqueeze" if rises else "Squeeze")
        if rises:
            self.raised.update(node.output)
        self.nodes.append(node)

    def _view(self, name: str, operator: str) -> str:
        if name not in self._views:
            self._views[name] = f"{name}_{operator.lower()}"
            self.nodes.append(helper.make_node(operator, [name, _AXIS_NAME], [self._views[name]]))
        return self._views[name]


def _raise_window(node: NodeProto, weights: dict[str, TensorProto]) -> None:
    """Give a convolution or pool a kernel of height 1."""
    for attribute in node.attribute:
        if attribute.name in PER_AXIS:
            _replace(attribute, [1, *attribute.ints])
        elif attribute.name == "pads":
            before, after = attribute.ints
            _replace(attribute, [0, before, 0, after])
    if node.op_type != "Conv":
        return
    tensor = weights.get(node.input[1])
    if tensor is None:
        raise ValueError(f"{node.name} has no stored weights ({node.input[1]}): change rank before type")
    if len(tensor.dims) == 3:  # not yet raised by another convolution that shares them
        array = numpy_helper.to_array(tensor)[:, :, None, :]
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _replace(attribute: AttributeProto, values: list[int]) -> None:
    del attribute.ints[:]
    attribute.ints.extend(values)
