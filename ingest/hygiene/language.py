"""In which language a text is written, as far as one can be sure."""

import re
from functools import lru_cache
from typing import Any

SAMPLE = 400  # characters; more hardly change the verdict
LETTERS = 80  # fewer say too little
SURE = 0.9  # of 1, the identifier's own probability over all its languages

_NO_PROSE = re.compile(
    r"```[\s\S]*?(?:```|\Z)|`[^`\n]*+`|\b[a-z][a-z+.-]{1,9}://\S++|\S*@\S*+|:[a-z0-9_+-]{1,40}+:|\[[^\]\n]{1,40}+\]"
)
_LETTER = re.compile(r"[^\W\d_]")
_ISO_639_1 = 2  # letters; the identifier also knows dialects and "no language", which have three


# Words that English has and hardly any neighbour: where they abound the identifier need not be asked.
_ENGLISH_WORDS = (
    "the and that this with you your have what would from they not can will if but which there how should when their "
    "we our could about any my it's don't i'm does please thanks of to for is are be been has it just know like get"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
ENOUGH = 3  # different ones of them, and
SHARE = 6  # one word in so many: English for sure
HINT = 12  # one word in so many: too much English for another language, too little to be sure


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language of a text's first characters; empty for short, mixed or doubtful ones."""
    sample = text[:SAMPLE]
    words = sample.lower().split()
    english = sum(map(_ENGLISH.__contains__, words))
    if english * HINT >= len(words):
        sure = english * SHARE >= len(words) and len(_ENGLISH.intersection(words)) >= ENOUGH
        return "en" if sure else ""
    prose = _NO_PROSE.sub(" ", sample)
    if len(_LETTER.findall(prose)) < LETTERS:
        return ""
    code, probability = _identifier().classify(prose)
    return code if probability >= SURE and len(code) == _ISO_639_1 else ""


@lru_cache(maxsize=1)
def _identifier() -> Any:  # noqa: ANN401 - the library ships no types
    """It takes half a second to load: only the first text that is long enough pays for it."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
