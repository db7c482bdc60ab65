import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from inference.training.planar import planar

CHANNELS = 8


def residual_network(rng: np.random.Generator, *, head: bool = True) -> ModelProto:
    """(batch, 8, time) -> a strided convolution beside a pooled short cut, mean and greatest over time."""
    wide = rng.normal(0, 0.2, (CHANNELS, CHANNELS, 5)).astype(np.float32)
    bias = rng.normal(0, 0.2, CHANNELS).astype(np.float32)
    short = rng.normal(0, 0.2, (CHANNELS, CHANNELS, 1)).astype(np.float32)
    nodes = [
        helper.make_node(
            "Conv", ["ecg", "wide", "bias"], ["inner"], kernel_shape=[5], strides=[2], pads=[2, 2]
        ),
        helper.make_node("AveragePool", ["ecg"], ["half"], kernel_shape=[2], strides=[2], ceil_mode=1),
        helper.make_node("Conv", ["half", "short"], ["beside"], kernel_shape=[1]),
        helper.make_node("Add", ["inner", "beside"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["features"]),
    ]
    if head:
        nodes += [
            helper.make_node("ReduceMean", ["features", "time"], ["mean"], keepdims=0),
            helper.make_node("ReduceMax", ["features", "time"], ["greatest"], keepdims=0),
            helper.make_node("Concat", ["mean", "greatest"], ["out"], axis=1),
        ]
    output: list[str | int | None] = ["batch", 2 * CHANNELS] if head else ["batch", CHANNELS, None]
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("ecg", TensorProto.FLOAT, ["batch", CHANNELS, None])],
        [helper.make_tensor_value_info("out" if head else "features", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(a, n) for a, n in ((wide, "wide"), (bias, "bias"), (short, "short"))]
        + [numpy_helper.from_array(np.array([-1]), "time")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: ModelProto, ecg: NDArray[np.float32]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"ecg": ecg})[0])


@pytest.mark.parametrize("time", [64, 63])
def test_a_height_of_one_changes_no_output(time: int) -> None:
    rng = np.random.default_rng(time)
    model = residual_network(rng)
    ecg = rng.normal(0, 1, (3, CHANNELS, time)).astype(np.float32)
    np.testing.assert_allclose(run(planar(model), ecg), run(model, ecg), atol=1e-5)


def test_every_convolution_and_pool_is_two_dimensional_and_the_given_model_is_left_alone() -> None:
    model = residual_network(np.random.default_rng(1))
    before = model.SerializeToString()
    changed = planar(model)
    assert model.SerializeToString() == before
    kernels = [a.ints for node in changed.graph.node for a in node.attribute if a.name == "kernel_shape"]
    assert [list(kernel) for kernel in kernels] == [[1, 5], [1, 2], [1, 1]]
    nodes = [(node.op_type, *node.input) for node in changed.graph.node]
    assert [(node.op_type, *node.input) for node in planar(changed).graph.node] == nodes


def test_a_network_that_ends_in_a_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features would get a height: end the network in a head"):
        planar(residual_network(np.random.default_rng(1), head=False))


def test_weights_from_elsewhere_are_refused_with_their_name() -> None:
    model = residual_network(np.random.default_rng(1))
    model.graph.initializer.remove(next(w for w in model.graph.initializer if w.name == "wide"))
    with pytest.raises(ValueError, match=r"no stored weights \(wide\)"):
        planar(model)
