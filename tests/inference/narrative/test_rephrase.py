"""An answer is taken only where each sentence says the same; whatever goes wrong, the template is shown."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.narrative import gemini as gemini_module
from inference.narrative.gemini import KEY, Gemini, gemini_of, in_other_words
from inference.narrative.narrative import Narrative, narrate
from inference.narrative.rephrase import INSTRUCTION, RephraseError, question_of, reworded
from inference.narrative.vocabulary import KEYWORDS, PLAIN
from inference.verdict import Presence, Rhythm
from ingest.settings import load_settings
from tests.inference.narrative.wards import all_facts, facts

P, U, A = Presence.PRESENT, Presence.UNCERTAIN, Presence.ABSENT
NARRATIVE = narrate(facts((A, P, U, A, A), (Rhythm.AF, True), 112.3, None))
REWORDED = {
    "read": "The program has read 10 s of lead I.",
    "mi-present": "Your beats look like those of people who have had a heart attack at some time.",
    "sttc-uncertain": (
        "The model is unsure whether the part of each beat in which the heart recovers is changed."
    ),
    "af": "Your rhythm looks like atrial fibrillation.",
    "rate-fast": "Your heart rate is 112 beats a minute, fast at rest; after effort it often is.",
}
ADDED = {
    "a number": (
        "rate-fast",
        "The heart rate is 113 beats a minute, which is fast at rest; after effort it often is.",
    ),
    "a second number": ("read", "The model has read 10 s of lead I, with 12 beats."),
    "a number in words": ("read", "The model has read 10 s of lead I and two beats."),
    "a condition": ("af", "The rhythm looks like atrial fibrillation and a stroke."),
    "a cause": (
        "mi-present",
        "The beats resemble those of people who have had a heart attack at some time, by smoking.",
    ),
    "comfort": ("mi-present", "The beats resemble those of healthy people."),
    "a not": ("af", "The rhythm does not look like atrial fibrillation."),
    "certainty": ("af", "The rhythm is atrial fibrillation."),
    "certainty for doubt": (
        "sttc-uncertain",
        "The part of each beat in which the heart recovers is changed.",
    ),
    "the reverse of doubt": (
        "sttc-uncertain",
        "The model is sure that the part of each beat in which the heart recovers is not changed.",
    ),
    "less": ("rate-fast", "The heart rate is 112 beats a minute."),
    "another word for fast": (
        "rate-fast",
        "The heart rate is 112 beats a minute, usual at rest; after effort it often is.",
    ),
    "other letters": ("read", "The model has read \u0661\u0660 s of lead I."),
    "nothing": ("read", ""),
    "much": ("read", "The model has read 10 s of lead I." + " The model has read it." * 9),
}


def answer(**changed: str) -> str:
    told = {each["key"]: each["text"] for each in json.loads(question_of(NARRATIVE))} | changed
    return json.dumps([{"key": key, "text": text} for key, text in told.items()])


def test_only_the_sentences_are_sent() -> None:
    asked = json.loads(question_of(NARRATIVE))
    assert [set(each) for each in asked] == [{"key", "text"}] * len(asked)
    fixed = [each.text for each in NARRATIVE.sentences if each.is_fixed]
    assert len(fixed) >= 5
    assert not any(text in question_of(NARRATIVE) for text in fixed)


def test_other_words_for_the_same_are_taken_and_fixed_sentences_stay() -> None:
    told = reworded(NARRATIVE, answer(**REWORDED), "some-model")
    assert told.source == "some-model"
    assert {each.key: each.text for each in told.sentences if each.key in REWORDED} == REWORDED
    assert [e.text for e in told.sentences if e.is_fixed] == [
        e.text for e in NARRATIVE.sentences if e.is_fixed
    ]
    assert [e.key for e in told.sentences] == [e.key for e in NARRATIVE.sentences]


@pytest.mark.parametrize("what", ADDED)
def test_an_answer_that_adds_or_leaves_out_is_not_taken(what: str) -> None:
    key, text = ADDED[what]
    with pytest.raises(RephraseError, match=key):
        reworded(NARRATIVE, answer(**REWORDED | {key: text}), "some-model")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "{}",
        "[]",
        '[{"key": "read"}]',
        answer()[:-1],
        answer().replace('"read"', '"red"'),
        "[" * 5000,
    ],
)
def test_an_answer_of_another_form_is_not_taken(text: str) -> None:
    with pytest.raises(RephraseError):
        reworded(NARRATIVE, text, "some-model")


def test_every_narrative_in_its_own_words_says_the_same() -> None:
    for k, each in enumerate(all_facts()):
        if k % 97 == 0:
            narrative = narrate(each)
            assert reworded(narrative, question_of(narrative), "template").sentences == narrative.sentences


@given(st.lists(st.sampled_from(sorted(PLAIN | KEYWORDS)), max_size=12), st.integers(0, 40))
def test_no_words_of_the_vocabulary_bring_a_condition_or_a_number_in(words: list[str], at: int) -> None:
    """Put anywhere in a sentence: refused, or no key word has come or gone."""
    text = REWORDED["af"]
    spoilt = f"{text[:at]} {' '.join(words)} {text[at:]}"
    try:
        told = reworded(NARRATIVE, answer(af=spoilt), "some-model")
    except RephraseError:
        return
    (said,) = [each.text for each in told.sentences if each.key == "af"]
    assert set(said.lower().strip(".").split()) & KEYWORDS == {"rhythm", "atrial", "fibrillation"}


def test_the_vocabulary_holds_no_number_and_no_condition() -> None:
    numbers = {"one", "two", "three", "ten", "half", "hundred", "first", "twice"}
    others = {
        "stroke",
        "healthy",
        "danger",
        "dangerous",
        "fine",
        "good",
        "medicine",
        "risk",
        "disease",
        "doctor",
    }
    assert not (PLAIN | KEYWORDS) & (numbers | others)


# --- a stand-in for the service, over HTTP ------------------------------------------------------------


class StandIn:
    """A local HTTP STAND-IN for Gemini: it answers as the test says, and keeps what it was sent."""

    def __init__(self) -> None:
        self.reply: Callable[[BaseHTTPRequestHandler], None] = lambda _: None
        self.bodies: list[dict[str, object]] = []
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.paths.append(self.path)
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                outer.reply(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                logging.getLogger("stand-in").debug(format, *args)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def says(self, body: object, status: int = 200) -> None:
        def reply(handler: BaseHTTPRequestHandler) -> None:
            data = json.dumps(body).encode()
            handler.send_response(status)
            handler.send_header("content-type", "application/json")
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        self.reply = reply

    def trickles(self) -> None:
        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("content-length", "1000")
            handler.end_headers()
            for _ in range(100):
                try:
                    handler.wfile.write(b" ")
                    handler.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)

        self.reply = reply


def generated(text: str, finish: str = "STOP") -> dict[str, object]:
    content = {"role": "model", "parts": [{"text": text}]}
    usage = {"promptTokenCount": 312, "candidatesTokenCount": 290, "totalTokenCount": 602}
    return {"candidates": [{"content": content, "finishReason": finish}], "usageMetadata": usage}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    one = StandIn()
    yield one
    one.server.shutdown()
    one.server.server_close()


def asked(stand_in: StandIn, within_s: float = 20.0) -> Narrative:
    return in_other_words(NARRATIVE, Gemini("some-model", "the-key", stand_in.url, within_s))


def test_what_the_service_answers_is_shown_and_its_cost_is_logged(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stand_in.says(generated(answer(**REWORDED)))
    told = asked(stand_in)
    assert (told.source, told.note) == ("some-model", None)
    assert REWORDED["af"] in told.text
    assert "312 tokens sent, 290 received" in caplog.text
    assert "the-key" not in caplog.text
    (body,) = stand_in.bodies
    assert stand_in.paths[0].endswith("/models/some-model:generateContent")
    assert body["contents"] == [{"parts": [{"text": question_of(NARRATIVE)}], "role": "user"}]
    assert json.dumps(INSTRUCTION) in json.dumps(body["systemInstruction"])
    assert set(body) == {"contents", "systemInstruction", "generationConfig"}


FAILURES: dict[str, tuple[object, int, str]] = {
    "too many requests": ({"error": {"code": 429, "message": "slow down", "status": "X"}}, 429, "429"),
    "broken": ({"error": {"code": 500, "message": "oops", "status": "X"}}, 500, "500"),
    "a wrong key": ({"error": {"code": 403, "message": "the-key is wrong", "status": "X"}}, 403, "403"),
    "refused": ({"promptFeedback": {"blockReason": "SAFETY"}}, 200, "refuses the question"),
    "stopped": (generated(answer(), "SAFETY"), 200, "no whole answer"),
    "cut": (generated(answer()[:50], "MAX_TOKENS"), 200, "no whole answer"),
    "empty": (generated(""), 200, "empty"),
    "no candidates": ({"candidates": []}, 200, "no whole answer"),
    "no list": (generated("Certainly! Here it is."), 200, "not the list"),
    "added facts": (generated(answer(af=ADDED["a condition"][1])), 200, "stroke"),
    "no JSON object": ([1, 2], 200, ""),
}


@pytest.mark.parametrize("what", FAILURES)
def test_whatever_the_service_does_the_template_is_shown_with_the_reason(
    what: str, stand_in: StandIn
) -> None:
    body, status, reason = FAILURES[what]
    stand_in.says(body, status)
    told = asked(stand_in)
    assert told.sentences == NARRATIVE.sentences
    assert told.source == "template"
    assert told.note is not None
    assert reason in told.note
    assert "the-key" not in told.note
    assert len(stand_in.bodies) == 1  # paid for once: no retries


def test_a_service_that_is_slow_or_away_is_given_up(stand_in: StandIn) -> None:
    asked(stand_in)  # loads the client, which is slow the first time
    stand_in.trickles()
    told = asked(stand_in, within_s=1.0)
    assert (told.sentences, told.note) == (NARRATIVE.sentences, "no answer within 1 s")
    away = in_other_words(NARRATIVE, Gemini("some-model", "the-key", "http://127.0.0.1:9", 5.0))
    assert away.sentences == NARRATIVE.sentences
    assert away.note is not None


def test_nothing_is_asked_unless_people_allow_it_and_a_key_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "the-key")
    assert gemini_of(load_settings()) is None
    assert gemini_of(load_settings(gemini=True)) is not None
    assert "the-key" not in str(load_settings(gemini=True).as_environment())
    monkeypatch.delenv(KEY)
    assert gemini_of(load_settings(gemini=True)) is None
    assert in_other_words(NARRATIVE, None) is NARRATIVE
    monkeypatch.setenv(KEY, "the-key")
    monkeypatch.setattr(gemini_module, "find_spec", lambda _: None)
    assert gemini_of(load_settings(gemini=True)) is None
