"""`wristlead narrate SITE/DEVICE`: the newest stored verdict in plain words."""

from sqlalchemy.exc import SQLAlchemyError

from inference.narrative.facts import facts_of
from inference.narrative.gemini import gemini_of, in_other_words
from inference.narrative.narrative import narrate
from inference.narrative.rephrase import INSTRUCTION, question_of
from inference.records import newest_verdict
from ingest.settings import Settings
from ingest.store.archive import Archive, StoreError
from ingest.store.schema import open_store

AROUND_US = 10_000_000  # vitals so long before the verdict are of its window


def narrate_newest(settings: Settings, device: str, *, show_prompt: bool) -> str:
    """What is said of it, or what would be sent to a language model; SystemExit where nothing is stored."""
    try:
        engine = open_store(settings.store_address)
        verdict = newest_verdict(engine, device)
        if verdict is None:
            raise SystemExit(f"no verdict of {device} is stored: `wristlead export --list` shows who is")
        at_us = verdict.decided_us
        vitals = (
            None if verdict.historic else Archive(engine).vitals_between(device, at_us - AROUND_US, at_us + 1)
        )
    except (StoreError, SQLAlchemyError) as error:
        raise SystemExit(f"the store cannot be read: {error}") from None
    narrative = narrate(facts_of(verdict, vitals[-1] if vitals else None))
    if show_prompt:
        return f"{INSTRUCTION}\n\n{question_of(narrative)}"
    told = in_other_words(narrative, gemini_of(settings))
    return told.text if told.note is None else f"{told.text}\n\n(Not reworded: {told.note}.)"
