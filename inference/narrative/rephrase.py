"""A narrative in other words: what a language model is asked, and whether its answer says the same.

The model gets the sentences that are not fixed and nothing else: no device, no time, no name, no ECG. Its
answer is taken whole or not at all; each sentence must keep its numbers, its key words, its "not" and its
doubt, and may use no word outside a short list of plain ones. Pure.
"""

import re

import msgspec

from inference.narrative.narrative import Narrative, Said
from inference.narrative.vocabulary import KEYWORDS, PLAIN

INSTRUCTION = (
    "You reword short sentences about an ECG for a person without medical training. You get a JSON list of "
    '{"key", "text"}. Answer with a JSON list of the same keys in the same order, each with your text in '
    "English. Say the same in plain, calm, short words. Keep every number, every name of a condition, every "
    "'not' and every doubt. Add nothing: no cause, no advice, no number, no condition, no comfort."
)
MAX_GROWTH, MAX_MORE = 1.6, 24  # a sentence may be so many times as long, and so many characters more
UNSURE = re.compile(r"\b(not sure|unsure|uncertain|unclear|cannot say|can not say)\b")
NEGATION = re.compile(r"\b(not|no|never|cannot|without|neither|nor|nothing|nobody|none|unknown)\b|n't\b")
HEDGE = re.compile(
    r"\b(may|might|could|perhaps|possibly|seem|seems|look|looks|resemble|resembles|fits|fit|took|gives)\b"
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*|%")
_TYPOGRAPHY = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-", "\u00a0": " "})


class RephraseError(ValueError):
    """An answer is not taken; the message says why."""


class Reworded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence of the question or the answer."""

    key: str
    text: str


_decode = msgspec.json.Decoder(list[Reworded]).decode


def question_of(narrative: Narrative) -> str:
    """All that leaves the house beside `INSTRUCTION`: the sentences that may be reworded, as JSON."""
    asked = [Reworded(each.key, each.text) for each in narrative.sentences if not each.is_fixed]
    return msgspec.json.encode(asked).decode()


def reworded(narrative: Narrative, answer: str, source: str) -> Narrative:
    """The narrative in the words of `answer`; raises RephraseError unless every sentence says the same."""
    try:
        told = _decode(answer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RephraseError(f"the answer is not the list that was asked for: {error}") from None
    asked = [each for each in narrative.sentences if not each.is_fixed]
    if [each.key for each in told] != [each.key for each in asked]:
        raise RephraseError("the answer has other sentences than the question")
    words = {each.key: each.text.translate(_TYPOGRAPHY).strip() for each in told}
    for each in asked:
        _must_say_the_same(each, words[each.key])
    said = [
        each if each.is_fixed else Said(each.key, each.section, words[each.key], is_fixed=False)
        for each in narrative.sentences
    ]
    return Narrative(tuple(said), source=source)


def _must_say_the_same(said: Said, text: str) -> None:
    if not text.isascii() or not text or len(text) > MAX_GROWTH * len(said.text) + MAX_MORE:
        raise RephraseError(f"{said.key}: empty, too long or in other letters")
    before, after = said.text.lower(), text.lower()
    if _numbers(before) != _numbers(after):
        raise RephraseError(f"{said.key}: numbers {_numbers(after)}, want {_numbers(before)}")
    words_before, words_after = set(_WORD.findall(before)), set(_WORD.findall(after))
    added = {word for word in words_after - words_before - PLAIN if not word[0].isdigit() and word != "%"}
    if added:
        raise RephraseError(f"{said.key}: words that were not given: {', '.join(sorted(added))}")
    lost = (words_before ^ words_after) & KEYWORDS
    if lost:
        raise RephraseError(f"{said.key}: left out or added: {', '.join(sorted(lost))}")
    for what, marks in (("not", _negations), ("doubt", _doubts)):
        if marks(before) != marks(after):
            raise RephraseError(f"{said.key}: its '{what}' has changed")


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", text))


def _negations(text: str) -> int:
    """How many, beside those that say doubt."""
    return len(NEGATION.findall(UNSURE.sub(" ", text)))


def _doubts(text: str) -> tuple[bool, bool]:
    return UNSURE.search(text) is not None, HEDGE.search(text) is not None
