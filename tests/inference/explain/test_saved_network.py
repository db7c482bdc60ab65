import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from inference.card import CARD_NAME, MODEL_NAME, RELEASED_WEIGHTS
from inference.classifier import Classifier, ClassifierError
from inference.explain.explainer import Explainer
from inference.explain.rhythm_grad_cam import RhythmOdds
from inference.explain.saved_network import (
    MAX_PARITY_ERROR,
    LeadReader,
    SavedNetworkError,
    load_network,
    load_rhythm_network,
    rebuild_network,
)
from inference.rhythm import CARD_NAME as RHYTHM_CARD_NAME
from inference.rhythm import MODEL_NAME as RHYTHM_NAME
from inference.rhythm import RhythmReader
from inference.verdict import Superclass
from tests.inference.explain.conftest import Case, RhythmCase

RELEASED = RELEASED_WEIGHTS / MODEL_NAME


def write_weights(folder: Path, model: onnx.ModelProto) -> None:
    """A folder as the export writes it, with the released card over another file."""
    content = model.SerializeToString()
    (folder / MODEL_NAME).write_bytes(content)
    card = json.loads((RELEASED_WEIGHTS / CARD_NAME).read_bytes())
    card["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / CARD_NAME).write_text(json.dumps(card))


def test_the_network_answers_as_the_file_does(net: LeadReader, cases: list[Case]) -> None:
    ecg_mv = np.stack([ecg for ecg, _ in cases])
    with torch.inference_mode():
        given = net(torch.from_numpy(ecg_mv)).numpy()
    wanted = Classifier.load().logits(ecg_mv, "I")
    assert given.shape == (len(cases), len(Superclass))
    assert np.abs(given - wanted).max() <= MAX_PARITY_ERROR


def test_the_rhythm_network_answers_as_its_file_does(
    rhythm_net: RhythmOdds, af_cases: list[RhythmCase]
) -> None:
    ecg_mv = np.stack([ecg for ecg, _ in af_cases])
    with torch.inference_mode():
        given = rhythm_net.net(torch.from_numpy(ecg_mv)).numpy()
        odds = rhythm_net(torch.from_numpy(ecg_mv)).numpy()
    reader = RhythmReader.load(RELEASED_WEIGHTS)
    assert np.abs(given - reader.logits(ecg_mv)).max() <= MAX_PARITY_ERROR
    shares = np.exp(given) / np.exp(given).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(odds, np.log(shares / (1 - shares)), atol=1e-3)


def test_a_rhythm_file_that_computes_something_else_is_refused_and_none_is_none(tmp_path: Path) -> None:
    assert load_rhythm_network(tmp_path) is None
    model = onnx.load(RELEASED_WEIGHTS / RHYTHM_NAME)
    stored = next(each for each in model.graph.initializer if each.name == "head.bias")
    stored.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored) * np.float32(1.01), "head.other"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(4, np.float32), "head.bias"))
    for node in model.graph.node:
        node.input[:] = ["head.other" if each == "head.bias" else each for each in node.input]
    content = model.SerializeToString()
    (tmp_path / RHYTHM_NAME).write_bytes(content)
    card = json.loads((RELEASED_WEIGHTS / RHYTHM_CARD_NAME).read_bytes())
    card["sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / RHYTHM_CARD_NAME).write_text(json.dumps(card))
    with pytest.raises(SavedNetworkError, match=r"rhythm.onnx and the network .* differ by"):
        load_rhythm_network(tmp_path)


def test_weights_of_half_precision_are_read_through_their_conversion(
    net: LeadReader, cases: list[Case]
) -> None:
    model = onnx.load(RELEASED)
    for stored in list(model.graph.initializer):
        value = numpy_helper.to_array(stored)
        if stored.data_type != TensorProto.FLOAT or value.size < 1000:
            continue
        name = stored.name
        stored.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}_half"))
        model.graph.node.insert(0, helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    ecg = torch.from_numpy(cases[0][0][None])
    halved = rebuild_network(model.SerializeToString(), "halved")
    with torch.inference_mode():
        apart = (LeadReader(halved, "I")(ecg) - net(ecg)).abs().max()
    assert apart < 0.05


def test_a_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    model = onnx.load(RELEASED)
    last = next(node for node in model.graph.node if "logits" in node.output)
    last.output[list(last.output).index("logits")] = "logits_before"
    model.graph.initializer.append(numpy_helper.from_array(np.array(1.01, np.float32), "scale"))
    model.graph.node.append(helper.make_node("Mul", ["logits_before", "scale"], ["logits"]))
    write_weights(tmp_path, model)
    with pytest.raises(SavedNetworkError, match=r"differ by .* in a logit, at most 1e-04 is allowed: export"):
        load_network(tmp_path)


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    model = onnx.load(RELEASED)
    stored = next(each for each in model.graph.initializer if each.name.endswith(".weight"))
    name = stored.name
    stored.name = "another"
    for node in model.graph.node:
        node.input[:] = ["another" if each == name else each for each in node.input]
    write_weights(tmp_path, model)
    with pytest.raises(SavedNetworkError, match=f"model.onnx holds no {name}"):
        load_network(tmp_path)


def test_no_file_is_said_as_the_classifier_says_it(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="cannot be read"):
        load_network(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        Explainer.load(tmp_path)
