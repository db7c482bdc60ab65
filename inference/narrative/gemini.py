"""Google's Gemini by google-genai (extra `gemini`): one question, one answer or the reason why there is none.

Its failure is never the narrative's: the template is shown then. The key comes from GEMINI_API_KEY alone.
"""

import importlib
import logging
import os
import threading
from importlib.util import find_spec
from typing import Any

from inference.narrative.narrative import Narrative
from inference.narrative.rephrase import RephraseError, question_of, reworded
from ingest.settings import Settings

KEY = "GEMINI_API_KEY"
REMEDY = "pip install 'wristlead[gemini]' brings it"
WITHIN_S = 10.0  # then the template is shown

logger = logging.getLogger(__name__)


class AskError(RuntimeError):
    """There is no answer; the message says why, for people, and holds no key."""


class Gemini:
    """One model of it; `ask` may be called from any thread."""

    def __init__(self, model: str, key: str, url: str | None = None, within_s: float = WITHIN_S) -> None:
        self.model = model
        self._key = key
        self._url = url
        self._within_s = within_s

    def ask(self, question: str) -> str:
        """The answer's text; raises AskError, after `within_s` at the latest."""
        found: list[str | AskError] = []
        # A thread, given up when it is late: the client's own time-out counts anew with each byte that comes.
        asking = threading.Thread(target=lambda: found.append(self._answer(question)), daemon=True)
        asking.start()
        asking.join(self._within_s)
        answer = found[0] if found else AskError(f"no answer within {self._within_s:g} s")
        if isinstance(answer, AskError):
            raise answer
        return answer

    def _answer(self, question: str) -> str | AskError:
        try:
            return self._text_of(self._response(question))
        except AskError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a service far away does, the template is shown
            reason = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
            return AskError(f"it cannot be asked ({reason})")

    def _response(self, question: str) -> Any:
        client = importlib.import_module("inference.narrative.gemini_client")
        return client.generate(
            model=self.model,
            key=self._key,
            url=self._url,
            question=question,
            within_s=self._within_s,
        )

    def _text_of(self, response: Any) -> str:
        used = response.usage_metadata
        if used is not None:
            counts = (used.prompt_token_count or 0, used.candidates_token_count or 0)
            logger.info("%s: %s tokens sent, %s received; Google charges for them", self.model, *counts)
        blocked = getattr(response.prompt_feedback, "block_reason", None)
        if blocked is not None:
            raise AskError(f"it refuses the question ({blocked.name})")
        reasons = [each.finish_reason for each in response.candidates or []]
        if not reasons or reasons[0] is None or reasons[0].name != "STOP":
            raise AskError(
                f"it gives no whole answer ({reasons[0].name if reasons and reasons[0] else 'empty'})"
            )
        text: str | None = response.text
        if not text:
            raise AskError("its answer is empty")
        return text


def gemini_of(settings: Settings) -> Gemini | None:
    """The model that people have allowed; None where it is off, or something that it needs is missing."""
    if not settings.gemini:
        return None
    key = os.environ.get(KEY)
    if not key or find_spec("google.genai") is None:
        logger.warning("--gemini is true, but %s", f"{KEY} is not set" if not key else REMEDY)
        return None
    return Gemini(settings.gemini_model, key, settings.gemini_url)


def in_other_words(narrative: Narrative, gemini: Gemini | None) -> Narrative:
    """In the model's words where they say the same; else as it is, with the reason."""
    if gemini is None:
        return narrative
    try:
        return reworded(narrative, gemini.ask(question_of(narrative)), gemini.model)
    except (AskError, RephraseError) as error:
        logger.info("the template is shown: %s", error)
        return Narrative(narrative.sentences, note=str(error))
