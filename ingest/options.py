"""How one source is read: what of it, and by which rules. Kept with the source, so that a schedule reads alike."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from core.errors import InvalidSettingError, ThreadwiseError
from core.words import MICROS, Instant
from ingest.hygiene import languages

Policy = Literal["keep", "mask", "quarantine"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
WORKSPACE_URL = re.compile(r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/?", re.ASCII | re.IGNORECASE)
DAY = 86_400 * MICROS
PATTERNS = 100  # more are no choice but a listing
PATTERN_CHARACTERS = 200
# What is said of conversations alone is none of these.
OF_FILES = ("include", "exclude", "personal_data", "languages")
OF_A_CORPUS = ("personal_data", "languages")


class UnfitOptionError(ThreadwiseError):
    """An option was given for a source of a kind that it says nothing about."""

    code = "unfit_option"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What an administrator has chosen for a source. Raises `InvalidSettingError` for what cannot be meant.

    Patterns are globs: of a Slack export's channels by name or id, of a folder's files by their path. A period is a
    first and a last day, both inside (UTC): an export that covers only those says nothing about earlier and later ones.
    """

    include: tuple[str, ...] = ()  # empty = everything
    exclude: tuple[str, ...] = ()
    bots: bool = True
    direct_messages: bool = False
    personal_data: Policy = "keep"
    languages: tuple[str, ...] = ()  # ISO 639-1; documents in another one are quarantined; empty = all are welcome
    workspace_url: str = ""
    period: str = ""  # FIRST..LAST, days

    def __post_init__(self) -> None:
        self._check_patterns()
        if self.workspace_url and not WORKSPACE_URL.fullmatch(self.workspace_url):
            raise InvalidSettingError(
                f"{self.workspace_url!r} is not the address of a workspace.",
                hint="It reads https://acme.slack.com, without a path.",
            )
        if self.personal_data not in POLICIES:
            raise InvalidSettingError(
                f"There is no policy {self.personal_data!r} for personal data.", hint=f"Use {', '.join(POLICIES)}."
            )
        self._check_languages()
        if self.period and self._days[0] > self._days[1]:
            raise InvalidSettingError("The period ends before it begins.", hint="Give it as 2026-01-01..2026-03-31.")

    @property
    def covered(self) -> tuple[Instant, Instant] | None:
        """The period from its first to before its end, in microseconds; None for everything there ever was."""
        if not self.period:
            return None
        first, last = self._days
        return _midnight(first), Instant(_midnight(last) + DAY)

    def takes(self, *names: str) -> bool:
        """Whether something of any of these names is to be read."""
        wanted = not self.include or _any_matches(self.include, names)
        return wanted and not _any_matches(self.exclude, names)

    def changed_by(self, given: Mapping[str, Any]) -> "SourceOptions":
        """These options with what is given now: names of fields to values; what is not among them stays."""
        if unknown := sorted(set(given) - {one.name for one in fields(self)}):
            raise InvalidSettingError(f"There is no option {unknown[0]!r} of a source.", hint="See docs/rest.md.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
        }
        return replace(self, **values)

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the defaults: plain values, the inverse of `changed_by` on the defaults."""
        plain, usual = asdict(self), asdict(SourceOptions())
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value != usual[name]
        }

    @property
    def _days(self) -> tuple[date, date]:
        first, _, last = self.period.partition("..")
        try:
            return date.fromisoformat(first), date.fromisoformat(last)
        except ValueError as error:
            raise InvalidSettingError(
                f"{self.period!r} is no period.", hint="Give its first and last day: 2026-01-01..2026-03-31."
            ) from error

    def _check_languages(self) -> None:
        for code in self.languages:
            if code not in languages.NAMES:
                meant = languages.meant_by(code)
                hint = f"Did you mean {meant} ({languages.NAMES[meant]})? " if meant else ""
                raise InvalidSettingError(
                    f"{code[: languages.LONGEST]!r} is no language that can be told of a text.",
                    hint=f"{hint}Give codes of ISO 639-1: en, de, fr.",
                )

    def _check_patterns(self) -> None:
        for pattern in (*self.include, *self.exclude):
            if not pattern.strip() or len(pattern) > PATTERN_CHARACTERS:
                raise InvalidSettingError(
                    f"A pattern of {len(pattern)} characters is none.",
                    hint=f"Give globs such as hr-* or policies/*.md, of at most {PATTERN_CHARACTERS} characters.",
                )
        if max(len(self.include), len(self.exclude)) > PATTERNS:
            raise InvalidSettingError("These are too many patterns.", hint=f"Give at most {PATTERNS}.")


AS_USUAL = SourceOptions()
"""What holds where nobody has chosen anything."""


def require_fit(kind: str, given: Mapping[str, Any]) -> None:
    """Raise `UnfitOptionError` for an option given now that changes nothing about how this kind of source is read.

    One that is taken back, which is what its default does, fits everything.
    """
    fitting = {"files": OF_FILES, "beir": OF_A_CORPUS}.get(kind)
    chosen = AS_USUAL.changed_by(given).as_json()
    if fitting is not None and (unfit := [name for name in chosen if name not in fitting]):
        raise UnfitOptionError(
            f"The option {unfit[0]!r} says nothing about a source of kind {kind}.",
            hint=f"Leave it out; for this kind there are: {', '.join(fitting)}.",
        )


def _midnight(day: date) -> Instant:
    return Instant(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICROS)


def _any_matches(patterns: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return any(_matches(pattern.rstrip("/").split("/"), name.split("/")) for pattern in patterns for name in names)


def _matches(pattern: list[str], path: list[str]) -> bool:
    """Whether the folders of a pattern lead along the path; `**` is any number of them, and what is below goes along.

    In time proportional to both: names come from whoever made the source. A bracket is a bracket.
    """
    places = {0}  # of the pattern, that the path may have reached
    for folder in path:
        places = _past_any(pattern, places)
        if len(pattern) in places:
            return True
        places = {
            place + (pattern[place] != "**")
            for place in places
            if fnmatchcase(folder, pattern[place].replace("[", "[[]"))
        }
    return len(pattern) in _past_any(pattern, places)


def _past_any(pattern: list[str], places: set[int]) -> set[int]:
    reached = set(places)
    for place in range(len(pattern)):
        if place in reached and pattern[place] == "**":
            reached.add(place + 1)
    return reached
