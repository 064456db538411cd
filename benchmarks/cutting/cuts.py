"""What a way of cutting leaves in pieces."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.cutting.arms import WAYS, Cut
from benchmarks.cutting.texts import Corpus, Text, name_of
from features.tokenizer import Tokenizer

SHORT = 800  # characters of a document that any chunk could hold
EDGE = 60  # characters by which the end of a question and the beginning of an answer are known
SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s|$)|$)", re.MULTILINE)
QUESTION = re.compile(r".*\?[*_)\s]*")
HEADING = re.compile(r"[^\W\d_](?:\S*\s+){0,9}\S*[^\s.!;,]")  # no item of a list


def cuts_of(corpus: Corpus, way: str, tokenizer: Tokenizer) -> dict[str, float]:
    """Percentages of sentences, blocks, short documents, pairs of question and answer, and ends that are cut apart."""
    texts, cuts = WAYS[way][0](corpus, tokenizer)
    blocks = corpus.blocks()
    inside = {key: [match.span() for match in SENTENCE.finditer(text)] for key, text in blocks.items()}
    parts = Counter(map(name_of, blocks))
    sizes: Counter[str] = Counter()
    for key, text in blocks.items():
        sizes[name_of(key)] += len(text)
    sentences, whole, documents = set[tuple[str, int]](), set[str](), set[str]()
    for cut in cuts:
        shown = list(texts[cut.text].shown(cut.span.start, cut.span.end))
        sentences |= {
            (key, start) for key, low, high in shown for start, end in inside[key] if low <= start < end <= high
        }
        held = {key for key, low, high in shown if blocks[key][low:high].strip() == blocks[key].strip()}
        whole |= held
        documents |= {name for name, count in Counter(map(name_of, held)).items() if count == parts[name]}
    short = {name for name, size in sizes.items() if size <= SHORT}
    said = {key for key, text in blocks.items() if text.strip()}
    return {
        "sentences": missing(sum(map(len, inside.values())), len(sentences)),
        "blocks": missing(len(said), len(whole & said)),
        "short documents": missing(len(short), len(short & documents)),
        "questions": missing(len(corpus.pairs), sum(held_together(corpus.pairs, cuts))),
        "left alone": missing(len(cuts), len(cuts) - sum(left_alone(texts, cuts))),
    }


def missing(whole: int, held: int) -> float:
    """The percentage that is not held."""
    return round(100 * (1 - held / whole), 2) if whole else 0.0


def held_together(pairs: Sequence[tuple[str, str]], cuts: Sequence[Cut]) -> Iterator[bool]:
    """Whether some chunk shows the end of the question and the beginning of the answer, for each pair."""
    shown = [" ".join(cut.indexed.split()) for cut in cuts]
    for asked, answered in pairs:
        end, begin = " ".join(asked.split())[-EDGE:], " ".join(answered.split())[:EDGE]
        yield any(begin in text and end in text for text in shown)


def left_alone(texts: Sequence[Text], cuts: Sequence[Cut]) -> Iterator[bool]:
    """Whether a chunk ends with a heading or question, and its sequel is in the next one, for each cut."""
    for cut in cuts:
        text = texts[cut.text]
        line = cut.span.text.rpartition("\n")[2]
        goes_on = bool(text.body[cut.span.end :].strip()) and text.body[cut.span.end] == "\n"
        page = text.document.kind == "page"
        yield goes_on and bool(QUESTION.fullmatch(line) or (page and HEADING.fullmatch(line)))
