"""What is asked for and how far it is: the JSON of `wl/v1/explain/#` and `wl/v1/explain_progress/#`."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from inference.explain.explanation import (
    ExplanationKey,
    ExplanationMethod,
    answer_of,
    superclass_and_rhythm,
)
from inference.verdict import Rhythm, Superclass
from ingest.topics import device_of


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """One explanation that somebody asks for, of a superclass or a rhythm; the topic names the device."""

    session: int
    first_sample: int
    superclass: Superclass | None = None
    method: ExplanationMethod = ExplanationMethod.GRADIENT_SHAP
    rhythm: Rhythm | None = None


class ExplainState(StrEnum):
    """`done`: it is published and stored. `refused`: it cannot be had, and the reason says why."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ExplainProgress:
    """How far a request is; one is published at each change."""

    session: int
    first_sample: int
    superclass: Superclass | None
    method: ExplanationMethod
    state: ExplainState
    share: float = 0.0  # of the work done, 0..1
    reason: str | None = None  # for `refused`, in words
    rhythm: Rhythm | None = None


def decode_request(topic: str, payload: bytes) -> ExplanationKey:
    """A request as it came -> what it asks for; ValueError, in words, where it is none."""
    try:
        request = msgspec.json.decode(payload, type=ExplainRequest)
        answer = answer_of(request.superclass, request.rhythm)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"this is no request for an explanation: {error}") from None
    return device_of(topic), request.session, request.first_sample, answer, request.method


def encode_progress(
    key: ExplanationKey, state: ExplainState, share: float = 0.0, reason: str | None = None
) -> bytes:
    """The JSON of an `ExplainProgress`."""
    _, session, first_sample, answer, method = key
    superclass, rhythm = superclass_and_rhythm(answer)
    progress = ExplainProgress(session, first_sample, superclass, method, state, share, reason, rhythm)
    return msgspec.json.encode(progress)
