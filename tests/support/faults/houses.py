"""An installation with the toy embedder."""

from core.settings import Settings
from tests.support.faults.toys import ToyEmbedder
from threadwise.runtime import Threadwise


def toy_house(settings: Settings, pause: float = 0.0) -> Threadwise:
    """An installation in which one text takes `pause` seconds to embed."""
    threadwise = Threadwise(settings)
    threadwise.embedder = ToyEmbedder(pause)
    return threadwise
