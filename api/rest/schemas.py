"""The shapes that requests have. A field nobody knows is refused, and no value is bent until it fits."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from core.catalog.keys import Scope

MOST = 50  # values in one list
MOST_LETTERS = 10_000
NAME = 200  # characters of a name in the catalogue


def _whole(value: object) -> object:
    """Text that every database can keep: half a character becomes a question mark, a NUL the sign for no letter."""
    return (
        value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        if isinstance(value, str)
        else value
    )


Text = Annotated[str, BeforeValidator(_whole)]
Name = Annotated[Text, Field(min_length=1, max_length=NAME)]
Names = Annotated[list[Name], Field(max_length=MOST)]
Path = Annotated[Text, Field(min_length=1, max_length=4096)]
Patterns = Annotated[list[Name], Field(max_length=100)]


class Shape(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Asked(Shape):
    """What a question and a search have in common."""

    question: Text = Field(description="in whole sentences or in words")
    as_principal: Name | None = Field(None, alias="as", description="read as somebody else; needs the admin scope")
    sources: Names = Field(default=[], description="only documents of these sources")
    kinds: Names = Field(default=[], description="only documents of these kinds")
    authors: Names = Field(default=[], description="only documents of these authors")
    top_k: int | None = Field(None, ge=1, le=100, description="how many passages, THREADWISE_API__MAX_TOP_K at most")


class SearchBody(Asked):
    """A search for passages."""

    mmr_lambda: float | None = Field(None, ge=0, le=1, description="1 = relevance order, 0 = most diverse")


class AskBody(Asked):
    """A question. What is left out follows the settings, which are also the most that may be asked for."""

    mode: Literal["answer", "search"] = Field("answer", description="`search` gives passages and asks no model")
    use_rag: bool = Field(default=True, description="false: the model answers from nothing, unverified")
    stream: bool = Field(default=False, description="typed events as they come; so does Accept: text/event-stream")
    n: int = Field(1, ge=1, le=4, description="wordings that are tried")
    max_tokens: int | None = Field(None, ge=1, description="of the answer that the model words")
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int = Field(0, ge=0, le=2**32 - 2)
    deadline_seconds: float | None = Field(None, gt=0, description="then the quotes stand")
    trace: bool = Field(default=False, description="how the answer came about; needs the admin scope")


class FeedbackBody(Shape):
    """What a reader thinks of an answer."""

    answer_id: Name
    value: Literal[-1, 1]
    comment: Text = Field("", max_length=2000)


READING = (*("include", "exclude", "bots", "direct_messages", "personal_data", "languages", "workspace_url", "period"),)


class RunOptions(Shape):
    """How a source is read. What is left out stays as it was."""

    kind: Name | None = Field(None, description="slack-export or files; left out: found out")
    audience: Names | None = Field(None, min_length=1, description="who may read it instead of what the source says")
    workspace_url: Path | None = Field(None, description="https://NAME.slack.com, for links to the messages")
    include: Patterns | None = Field(None, description="only channels or paths that match one of these; [] = all")
    exclude: Patterns | None = Field(None, description="no channel or path that matches one of these; [] = none")
    bots: bool | None = Field(None, description="also what bots and apps say")
    direct_messages: bool | None = Field(None, description="also direct and group messages, for those who had them")
    personal_data: Literal["keep", "mask", "quarantine"] | None = Field(
        None, description="what becomes of addresses, numbers and accounts of people"
    )
    languages: Patterns | None = Field(None, description="only documents in these (ISO 639-1); [] = all")
    period: Name | None = Field(None, description="FIRST..LAST: the days that an export of a part of the time covers")
    allow_empty: bool = Field(default=False, description="take everything away when nothing is left")
    plan: bool = Field(
        default=False, description="only find out what would be done; POST /v1/plans/{hash}/apply does it"
    )

    @property
    def reading(self) -> dict[str, Any]:
        """How the source is to be read, as far as it was said: fields of `ingest.options.SourceOptions`."""
        said = {name: getattr(self, name) for name in READING}
        return {name: value for name, value in said.items() if value is not None}


class RunBody(RunOptions):
    """A run of a known source, or of a path on this machine (needs the local scope), or runs of all known sources."""

    every_source: bool = Field(default=False, alias="all", description="read every known source again")
    source: Name | None = None
    path: Path | None = Field(None, description="of this machine")
    document: Path | None = Field(None, description="only the document of this external id")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        named = (self.source, self.path, self.document, self.kind, self.audience)
        said = any(value is not None for value in named) or self.reading or self.allow_empty or self.plan
        if self.every_source and said:
            raise ValueError("all sources are read as they were read last: say nothing else")
        if not self.every_source and self.source is None and self.path is None:
            raise ValueError("name a source, a path, or all of them")
        return self


class UploadQuery(RunOptions):
    """What comes beside an uploaded file."""

    model_config = ConfigDict(strict=False)  # a query has nothing but text

    source: Name
    filename: Path = Field("upload", description="its ending may tell its kind")


class KeyBody(Shape):
    """A key to be made. The scope `local`, which names paths of this machine, is not given away over the network."""

    name: Name
    scopes: list[Scope] = Field(min_length=1, max_length=3)
    principals: Names = Field(default=[], description="whom it reads as; none = everyone")
    expires_days: float | None = Field(None, gt=0, le=36_500)


class LettersBody(Shape):
    """Dead letters: by their ids, or the open ones of a source, or every open one."""

    ids: list[int] | None = Field(None, min_length=1, max_length=MOST_LETTERS)
    source: Name | None = None
    every_letter: bool = Field(default=False, alias="all", description="every open letter")

    @model_validator(mode="after")
    def _names_letters(self) -> Self:
        if [self.ids is not None, self.source is not None, self.every_letter].count(True) != 1:
            raise ValueError("name the letters by ids, by source, or say all")
        return self


class SourceBody(Shape):
    """What can be changed of a source."""

    every_minutes: int = Field(ge=0, le=525_600, description="how often it is read again, 0 = when asked")
