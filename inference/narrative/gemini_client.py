"""One question to Google's Gemini. The only module that imports google-genai, which takes 0.5 s to load."""

from google import genai
from google.genai import types

from inference.narrative.rephrase import INSTRUCTION

MAX_ANSWER_TOKENS = 4_000  # the longest narrative takes about 500; models that think first need more


def generate(
    *,
    model: str,
    key: str,
    url: str | None,
    question: str,
    within_s: float,
) -> types.GenerateContentResponse:
    """The response; raises whatever google-genai and its HTTP client raise. It is asked once."""
    options = types.HttpOptions(
        base_url=url, timeout=round(1000 * within_s), retry_options=types.HttpRetryOptions(attempts=1)
    )
    with genai.Client(api_key=key, http_options=options) as client:
        return client.models.generate_content(
            model=model,
            contents=question,
            config=types.GenerateContentConfig(
                system_instruction=INSTRUCTION,
                temperature=0.0,
                max_output_tokens=MAX_ANSWER_TOKENS,
                response_mime_type="application/json",
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            ),
        )
