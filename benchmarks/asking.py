"""What stands between a question and the first token of the bundled model, beside the bare engine.

    .venv/bin/python benchmarks/asking.py [--questions N] [--json]

Asks the questions of demo/ one after the other with the bundled model, then gives exactly the same prompts in the
same order to a second llama.cpp engine of the same parameters, straight through its own call. Prints the median
milliseconds to the first quote and the first token, the ratio of first tokens asked / bare, and what a follow-up over
the same passages costs when its prefix was kept.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.catalog.passages import Reader
from core.settings import Settings, default_cache_dir
from generation.answers import Answer, AskRequest, DoneEvent
from generation.bundled import SMOLLM2, pull
from generation.llama import LlamaModel
from generation.llama_engine import EngineOptions, open_engine
from generation.model import Delta, End, Message, Sampling
from threadwise.language import models_folder
from threadwise.runtime import Threadwise

DEMO = Path(__file__).parents[1] / "demo"
READER = Reader(principals=("T05LQ8R2PNK/U05LQF8E1HC",))
FOLLOW_UP = "And who can I ask about that?"


@dataclass
class Figures:
    """Milliseconds, one for each question that was worded."""

    first_text: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    before_model: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def questions(count: int) -> list[str]:
    """The first questions of the demonstration."""
    lines = (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["question"]) for line in lines][:count]


def asked(threadwise: Threadwise, question: str) -> Answer:
    """The answer with its prompt."""
    *_, last = threadwise.ask(AskRequest(question=question, reader=READER, trace=True))
    assert isinstance(last, DoneEvent)
    return last.answer


def messages_of(answer: Answer) -> list[Message]:
    """The prompt that was submitted."""
    assert answer.trace is not None
    return [Message(turn["role"], turn["text"]) for turn in answer.trace["prompt"]]


def chatml(messages: Sequence[Message]) -> str:
    """The prompt as the bundled model's own template writes it."""
    turns = "".join(f"<|im_start|>{turn.role}\n{turn.text}<|im_end|>\n" for turn in messages)
    return f"{turns}<|im_start|>assistant\n"


def bare_first_token(engine: Any, prompt: str, tokens: int) -> float:  # noqa: ANN401 - no annotations
    """Milliseconds from the engine's own call to its first text; it goes on to the end like the answer did."""
    first: list[float] = []
    started = time.perf_counter()

    def received(chunk: dict[str, Any]) -> bool:
        if not first and chunk.get("choices") and chunk["choices"][0]["text"]:
            first.append(1000 * (time.perf_counter() - started))
        return False

    request = {"prompt": prompt, "max_tokens": max(tokens, 1), "temperature": 0.0, "stream": True, "cache_prompt": True}
    engine.handle_completions(request, received)
    return first[0] if first else 1000 * (time.perf_counter() - started)


def follow_up(model: LlamaModel, answer: Answer) -> tuple[float, End]:
    """Milliseconds to the first token of another question over the same passages, right after the first."""
    *before, last = messages_of(answer)
    first_question = last.text
    changed = first_question.replace(_question_line(first_question), f"Question: {FOLLOW_UP}")
    for _ in model.generate([*before, last], Sampling(max_tokens=2)):
        pass
    started, first, end = time.perf_counter(), 0.0, None
    for part in model.generate([*before, Message("user", changed)], Sampling(max_tokens=2)):
        first = first or 1000 * (time.perf_counter() - started)
        end = part if isinstance(part, End) else end
        assert isinstance(part, Delta | End)
    assert end is not None
    return first, end


def _question_line(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("Question: "))


def measure(count: int) -> dict[str, object]:
    """Every figure, by name."""
    weights = pull(SMOLLM2, models_folder(default_cache_dir()))
    figures, answers = Figures(), []
    with tempfile.TemporaryDirectory() as folder, Threadwise(Settings(data_dir=Path(folder))) as threadwise:
        threadwise.ingest(DEMO / "slack-export", name="slack")
        threadwise.ingest(DEMO / "handbook", name="handbook")
        threadwise.warm()
        for question in questions(count):
            answer = asked(threadwise, question)
            if answer.first_token_ms is not None and answer.first_text_ms is not None:
                figures.first_text.append(answer.first_text_ms)
                figures.first_token.append(answer.first_token_ms)
                figures.whole.append(answer.took_ms)
                answers.append(answer)
        llm = threadwise.settings.llm
    options = EngineOptions(
        address="127.0.0.1", context_tokens=llm.context_tokens, slots=llm.slots, threads=llm.threads
    )
    engine, _ = open_engine(weights, options)
    for answer in answers:
        figures.bare.append(bare_first_token(engine, chatml(messages_of(answer)), answer.usage.output_tokens))
    del engine
    model = LlamaModel(weights, context_tokens=llm.context_tokens, slots=1, threads=llm.threads)
    later = [follow_up(model, answer) for answer in answers[:10]]
    model.close()
    ratios = [mine / bare for mine, bare in zip(figures.first_token, figures.bare, strict=True)]
    return {
        "questions": count,
        "worded": len(answers),
        "first_text_ms_p50": round(statistics.median(figures.first_text), 1),
        "first_token_ms_p50": round(statistics.median(figures.first_token), 1),
        "bare_first_token_ms_p50": round(statistics.median(figures.bare), 1),
        "first_token_over_bare_p50": round(statistics.median(ratios), 3),
        "first_token_over_bare_total": round(sum(figures.first_token) / sum(figures.bare), 3),
        "answer_ms_p50": round(statistics.median(figures.whole), 1),
        "prompt_tokens_p50": statistics.median(answer.usage.prompt_tokens for answer in answers),
        "follow_up_first_token_ms_p50": round(statistics.median(ms for ms, _ in later), 1),
        "follow_up_kept_share": round(
            sum(end.cached_tokens for _, end in later) / sum(end.prompt_tokens for _, end in later), 3
        ),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.questions)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<30} {value}")


if __name__ == "__main__":
    main()
