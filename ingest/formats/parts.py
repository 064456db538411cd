"""What tells the documents of one file apart."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Parts:
    """Names that are given once each: a second one of the same name is `name-2`. Linear in the names given."""

    _given: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """The name, numbered where it is taken."""
        number, unique = self._numbers.get(name, 1), name
        while unique in self._given:
            number += 1
            unique = f"{name}-{number}"
        self._numbers[name] = number
        self._given.add(unique)
        return unique
