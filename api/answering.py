"""An answer as a person reads it: quotes as they are found, verified text as it is written, then the sources."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.rendering import clean, indented, one_line, table_text

NOTES = {"no_model": "no language model is here to word it: threadwise models pull"}
_MARK = re.compile(r"\[\d+\]")

Json = Mapping[str, Any]


@dataclass(slots=True)
class AnswerPrinter:
    """Takes the events of one answer and writes what a person should see of each.

    Sentences that only repeat the quotes wait for one that does not: an answer of quotes alone stands there already.
    """

    write: Callable[[str], None]
    stream: bool = True
    quotes: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    worded: bool = False

    def __call__(self, name: str, data: Json) -> None:
        """Show one event; what is none of ours is passed over."""
        if name == "done":
            self._finish(data)
        elif self.stream and name == "quote":
            self._quote(data)
        elif self.stream and name == "token":
            self._token(clean(data["text"]))

    def _quote(self, citation: Json) -> None:
        quote = one_line(citation["quote"])
        self.quotes.add(quote)
        self.write(f"[{citation['number']}] “{quote}”\n")

    def _token(self, text: str) -> None:
        self.waiting.append(text)
        if self.worded or one_line(_MARK.sub("", text)) not in self.quotes:
            gap = "\n" if self.quotes and not self.worded else ""
            self.write(gap + "".join(self.waiting))
            self.waiting, self.worded = [], True

    def _finish(self, answer: Json) -> None:
        if self.worded:
            self.write("\n")
        elif not self.quotes:
            self.write(clean(answer["text"]).rstrip() + "\n")
        self.write("\n".join(filter(None, closing_lines(answer, quotes=not self.quotes))) + "\n")


def closing_lines(answer: Json, *, quotes: bool) -> list[str]:
    """What stands below an answer: its sources or the nearest ones, how it came about, the trace if it was wanted."""
    return [
        _sources(answer["citations"], quotes=quotes and answer["status"] == "answered"),
        _nearest(answer["nearest"]) if answer["status"] == "declined" else "",
        "" if answer["grounded"] else "\nThe model alone said this: nothing of it was checked against a source.",
        f"\n{_status(answer)}",
        table_text("trace", answer["trace"]) if answer.get("trace") else "",
    ]


def _sources(citations: Sequence[Json], *, quotes: bool) -> str:
    """Every place once, with the numbers of its quotes; with the quotes too where they were not shown before."""
    if not citations:
        return ""
    places: dict[str, list[Json]] = {}
    for citation in citations:
        places.setdefault(_place(citation), []).append(citation)
    lines = ["\nSources"]
    for place, cited in places.items():
        numbers = " ".join(f"[{citation['number']}]" for citation in cited)
        lines.append(f"  {numbers} {place}")
        lines.extend(indented(f"“{one_line(citation['quote'])}”") for citation in cited if quotes)
    return "\n".join(lines)


def _nearest(documents: Sequence[Json]) -> str:
    if not documents:
        return ""
    return "\n".join(["\nNearest to the question", *(f"  - {_place(document)}" for document in documents)])


def _place(document: Json) -> str:
    return " · ".join(filter(None, (one_line(document[name]) for name in ("title", "source", "uri"))))


def _status(answer: Json) -> str:
    usage = answer["usage"]
    times = [
        f"{what} after {answer[name] / 1000:.2f} s"
        for name, what in (("first_text_ms", "first text"), ("first_token_ms", "first model token"))
        if answer[name] is not None
    ]
    tokens = f"{usage['prompt_tokens']} + {usage['output_tokens']} model tokens"
    whole = [answer["status"], tokens, *times, f"{answer['took_ms'] / 1000:.2f} s in all"]
    note = answer["note"] if answer["status"] == "quoted" else ""
    why = f" ({one_line(NOTES.get(note, note))})" if note else ""
    return f"{one_line(' · '.join(map(str, whole)))}{why}\nanswer {one_line(answer['answer_id'])}"
