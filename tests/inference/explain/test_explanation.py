import msgspec
import numpy as np
import pytest

from inference.explain.attribution import smoothed
from inference.explain.explanation import Explanation, ExplanationMethod, QuantisedMap, quantise
from inference.explain.records import explanations_of, find_explanation, save_explanation
from inference.explain.request import decode_request
from inference.verdict import Rhythm, Superclass
from ingest.store.schema import open_store


def explanation(**fields: object) -> Explanation:
    known = {
        "device": "ward/bed-1",
        "session": 7,
        "first_sample": 5000,
        "wall_time_us": 1_790_000_000_000_000,
        "model": "lagplot",
        "superclass": Superclass.MI,
        "method": ExplanationMethod.GRAD_CAM,
        "fs": 100.0,
        "attribution": quantise(np.linspace(-1, 2, 1000)),
        "plot": quantise(np.ones((12, 250))),
        "effect": 1.5,
        "completeness_error": 0.1,
        "made_us": 1_790_000_000_000_001,
        "took_ms": 40.0,
    }
    return msgspec.convert({**known, **fields}, Explanation)


@pytest.mark.parametrize("seed", range(10))
def test_a_map_survives_the_wire_within_half_a_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 10.0 ** rng.integers(-6, 4), (int(rng.integers(1, 13)), int(rng.integers(1, 300))))
    values[0, 0] = 0.0
    known = msgspec.json.decode(msgspec.json.encode(quantise(values)), type=QuantisedMap)
    assert np.abs(known.values() - values).max() <= known.scale * 0.501  # float32 on top
    assert known.values()[0, 0] == 0.0
    assert known.scale <= np.abs(values).max() / 32_000


def test_a_map_of_nothing_is_zero() -> None:
    assert not quantise(np.zeros(1000)).values().any()


def test_a_map_with_holes_or_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        quantise(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match=r"3 x 4 needs 24 bytes, got 23"):
        QuantisedMap(3, 4, 1.0, bytes(23))


@pytest.mark.parametrize("at", [0, 1, 500, 998, 999])
def test_smoothing_keeps_the_total_and_the_place(at: int) -> None:
    peak = np.zeros(1000)
    peak[at] = 3.0
    spread = smoothed(peak)
    assert spread.sum() == pytest.approx(3.0)
    assert abs(int(np.argmax(spread)) - at) <= 4
    assert np.count_nonzero(spread) <= 9


def test_a_window_superclass_and_method_keep_their_first_explanation(store_url: str) -> None:
    engine = open_store(store_url)
    first = explanation()
    others = [
        explanation(superclass=Superclass.CD),
        explanation(method=ExplanationMethod.GRADIENT_SHAP, plot=None),
        explanation(first_sample=0),
        explanation(first_sample=0, superclass=None, rhythm=Rhythm.NORMAL),
    ]
    assert all(save_explanation(engine, each) for each in (first, *others))
    assert not save_explanation(engine, explanation(took_ms=99.0))
    assert find_explanation(engine, first.key) == first
    assert find_explanation(engine, explanation(session=8).key) is None
    assert explanations_of(engine, first.key[:3]) == [others[0], first, others[1]]
    engine.dispose()


def test_an_explanation_is_of_one_answer_and_old_ones_can_still_be_read() -> None:
    with pytest.raises(ValueError, match="want a superclass or a rhythm, not both"):
        explanation(rhythm=Rhythm.AF)
    with pytest.raises(ValueError, match="want a superclass or a rhythm"):
        explanation(superclass=None)
    of_rhythm = explanation(superclass=None, rhythm=Rhythm.AF, rhythm_plot=quantise(np.ones((59, 250))))
    assert msgspec.json.decode(msgspec.json.encode(of_rhythm), type=Explanation) == of_rhythm
    before = msgspec.json.decode(msgspec.json.encode(explanation()))
    del before["rhythm"], before["rhythm_plot"]  # written before rhythms were explained
    assert msgspec.convert(before, Explanation).key == explanation().key


def test_a_request_names_a_window_and_asks_for_shap_by_itself() -> None:
    payload = b'{"session":7,"first_sample":5000,"superclass":"MI"}'
    assert decode_request("wl/v1/explain/ward/bed-1", payload) == (
        "ward/bed-1",
        7,
        5000,
        Superclass.MI,
        ExplanationMethod.GRADIENT_SHAP,
    )


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        ("wl/v1/explain/ward/bed-1", b"{", "no request"),
        ("wl/v1/explain/ward/bed-1", b'{"nested":' + b"[" * 5_000, "no request"),
        ("wl/v1/explain/ward/bed-1", b'{"session":7,"first_sample":0,"superclass":"AF"}', "superclass"),
        ("wl/v1/explain/ward/bed-1", b'{"session":7,"first_sample":0}', "superclass or a rhythm"),
        (
            "wl/v1/explain/ward/bed-1",
            b'{"session":7,"first_sample":0,"superclass":"MI","rhythm":"atrial fibrillation"}',
            "not both",
        ),
        ("wl/v1/explain/ward", b'{"session":7,"first_sample":0,"superclass":"MI"}', "names no device"),
    ],
)
def test_a_request_that_is_none_is_refused_in_words(topic: str, payload: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode_request(topic, payload)
