"""What is asked of an ingestion."""

from dataclasses import dataclass, field

from core.errors import ValueRefusedError
from ingest.options import SourceOptions

LONGEST_NAME = 200
"""Characters of a source's name and of a principal, as the catalogue has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is ingested under which name. `location`, `audience` and `options` are remembered for the next time."""

    name: str
    location: str = ""
    audience: tuple[str, ...] | None = None  # principals that replace what the source says
    kind: str | None = None  # as it was asked for
    options: SourceOptions = field(default_factory=SourceOptions)
    allow_empty: bool = False  # take everything away when the source has nothing any more
    document: str | None = None  # only the document of this external id
    plan_only: bool = False  # keep the plan for somebody to look at

    def as_asked(self) -> dict[str, object]:
        """What a worker has to know to go on with it."""
        asked = {"path": self.location, "kind": self.kind, "options": self.options.as_json()}
        rest = {"allow_empty": self.allow_empty, "document": self.document, "plan_only": self.plan_only}
        return asked | rest | {"audience": self.audience}

    def __post_init__(self) -> None:
        for name in (self.name, *(self.audience or ())):
            if len(name) > LONGEST_NAME:
                raise ValueRefusedError(
                    f"A name of {len(name)} characters is too long.", hint=f"At most {LONGEST_NAME} fit."
                )
