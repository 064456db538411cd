"""`threadwise ask` and `threadwise search`: questions, as a reader with rights."""

from contextlib import closing
from typing import Annotated

import typer

from api import options
from api.installation import Ask, Search, opened
from api.output import print_json, print_text, write

Question = Annotated[str, typer.Argument(help="What you want to know, in plain words.")]


def search(  # noqa: PLR0913 - each is an option
    question: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    *,
    as_principal: options.AsPrincipal = None,
    top_k: Annotated[int | None, typer.Option(min=1, max=100, help="Passages to show.")] = None,
    source: options.Sources = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only thread, sitting or page. Repeatable.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="Only what this person opened. Repeatable.")] = None,
    mmr_lambda: Annotated[float | None, typer.Option(help="1 = relevance order, 0 = most diverse.")] = None,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Find the passages that answer a question, among those its reader may read.

    Example: threadwise search "vpn after the update" --as T0123/U0456 --top-k 3
    """
    from api.rendering import ranking_text  # noqa: PLC0415

    order = Search(
        question=options.decoded(question),
        as_principal=None if as_principal is None else options.text(as_principal),
        top_k=top_k,
        mmr_lambda=mmr_lambda,
        sources=options.texts(source),
        kinds=options.texts(kind),
        authors=options.texts(author),
    )
    with opened(data_dir) as installation:
        ranking = installation.search(order)
    if as_json:
        print_json(ranking)
    else:
        print_text(ranking_text(ranking, order.question))


def ask(  # noqa: PLR0913 - each is an option
    question: Question,
    *,
    as_principal: options.AsPrincipal = None,
    source: options.Sources = None,
    top_k: options.TopK = None,
    rag: Annotated[
        bool, typer.Option("--rag/--no-rag", help="Answer from the sources, or let the model alone say something.")
    ] = True,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Print quotes and sentences as they come, or all at the end.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 2, help="The same seed gives the same words.")] = 0,
    trace: Annotated[bool, typer.Option("--trace", help="Say also how the answer came about.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Answer a question from the sources, with quotes and where they stand; decline where nothing answers it.

    Example: threadwise ask "How many days of leave can I carry over?" --as T0123/U0456
    """
    from api.answering import AnswerPrinter  # noqa: PLC0415

    order = Ask(
        question=options.decoded(question),
        as_principal=None if as_principal is None else options.text(as_principal),
        top_k=top_k,
        sources=options.texts(source),
        use_rag=rag,
        seed=seed,
        trace=trace,
    )
    show = AnswerPrinter(write, stream=stream)
    with opened(data_dir) as installation, closing(installation.ask(order)) as events:
        for name, data in events:
            if not as_json:
                show(name, data)
            elif name == "done":
                print_json(data)
