"""How far the work behind the doors steps back."""

from typing import Final

NICENESS: Final = 10
"""Questions come before ingestion."""
