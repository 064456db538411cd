"""Which passages a search may return: one value that every engine understands, and its translation from Feast's.

Deny by default: an empty tuple of audiences matches nothing, and a Feast filter has to name the audiences.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from features.errors import FilterError

if TYPE_CHECKING:
    from feast.filter_models import ComparisonFilter, CompoundFilter

_NAMES = {"source": "sources", "kind": "kinds", "author": "authors", "chunk_id": "chunk_ids"}
_UNBOUNDED = {("gte", "audience_id")}


@dataclass(frozen=True, slots=True)
class PassageFilter:
    """The conditions of one search, all of which hold for every passage found.

    `audience_ids` None is an administrator's search without any audience condition; `()` matches nothing. `at`
    (microseconds) lies in the passage's validity: valid_from <= at < valid_to. Of the others, `()` is no condition.
    """

    audience_ids: tuple[int, ...] | None
    at: int
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    chunk_ids: tuple[str, ...] = ()

    @property
    def matches_nothing(self) -> bool:
        """Whether the answer is known without asking an engine."""
        return self.audience_ids == ()


def from_feast(filters: "ComparisonFilter | CompoundFilter | None", now: int) -> PassageFilter:
    """Translate Feast's filter; a filter without times asks for `now` (microseconds).

    Understood are conjunctions of `in`/`eq` on audience_id, source, kind, author and chunk_id, and the pair
    valid_from lte t, valid_to gt t. `audience_id gte 0` is how an administrator asks for every audience.
    Raises `FilterError` for anything else, and when no condition speaks of audiences.
    """
    leaves = list(_leaves(filters))
    result = PassageFilter(audience_ids=_audiences(leaves), at=_instant(leaves, now))
    for key in _NAMES:
        result = _narrowed(result, key, [leaf for leaf in leaves if leaf.key == key])
    return result


def _leaves(filters: Any) -> Iterable["ComparisonFilter"]:  # noqa: ANN401 - Feast's classes, known by their type field
    if filters is None:
        return
    if filters.type == "and":
        for part in filters.filters:
            yield from _leaves(part)
        return
    if filters.type == "or" or filters.key not in {"audience_id", "valid_from", "valid_to", *_NAMES}:
        what = "'or'" if filters.type == "or" else f"the key {filters.key!r}"
        raise FilterError(
            f"A passage filter cannot use {what}.",
            hint="Use 'and' of audience_id, valid_from, valid_to, source, kind, author and chunk_id.",
        )
    yield filters


def _audiences(leaves: Sequence["ComparisonFilter"]) -> tuple[int, ...] | None:
    mine = [leaf for leaf in leaves if leaf.key == "audience_id"]
    if not mine:
        raise FilterError(
            "A search has to say whose passages it may return.",
            hint="Add audience_id in […]; an administrator's search says audience_id gte 0.",
        )
    bounded = [leaf for leaf in mine if (leaf.type, leaf.key) not in _UNBOUNDED or leaf.value != 0]
    return tuple(sorted(_common(bounded, int))) if bounded else None


def _instant(leaves: Sequence["ComparisonFilter"], now: int) -> int:
    bounds = [leaf for leaf in leaves if leaf.key in {"valid_from", "valid_to"}]
    if not bounds:
        return now
    if any(type(leaf.value) is not int for leaf in bounds):
        raise FilterError("The instant of a validity condition is a whole number of microseconds.")
    times = {leaf.value for leaf in bounds}
    if {(leaf.key, leaf.type) for leaf in bounds} != {("valid_from", "lte"), ("valid_to", "gt")} or len(times) != 1:
        raise FilterError("Validity is asked for one instant: valid_from lte t and valid_to gt t, with the same t.")
    return int(times.pop())


def _narrowed(result: PassageFilter, key: str, leaves: Sequence["ComparisonFilter"]) -> PassageFilter:
    if not leaves:
        return result
    wanted = tuple(sorted(_common(leaves, str)))
    # An empty tuple would be no condition at all: what nobody can meet becomes the filter that matches nothing.
    narrower: dict[str, Any] = {_NAMES[key]: wanted} if wanted else {"audience_ids": ()}
    return replace(result, **narrower)


def _common(leaves: Sequence["ComparisonFilter"], kind: type) -> set[Any]:
    return set.intersection(*(_values(leaf, kind) for leaf in leaves))


def _values(leaf: "ComparisonFilter", kind: type) -> set[Any]:
    if leaf.type not in {"eq", "in"}:
        raise FilterError(f"{leaf.key} cannot be compared with {leaf.type!r}.", hint="Use eq or in.")
    values = [leaf.value] if leaf.type == "eq" else leaf.value
    if not isinstance(values, list | tuple | set | frozenset) or not all(type(value) is kind for value in values):
        raise FilterError(f"{leaf.key} {leaf.type} takes values of type {kind.__name__}.")
    return set(values)
