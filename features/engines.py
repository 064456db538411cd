"""Which generation's engines answer: those of the live one, or of the one before it while those are being loaded."""

import threading
from pathlib import Path

import structlog

from core.catalog import features as catalog
from core.database import Database
from core.settings import IndexSettings
from features.engine_pair import EnginePair
from features.vectors import EXACT_ROWS

log = structlog.get_logger()


class Engines:
    """The engines of whichever generation is live. Thread-safe; opens nothing before the first `serving`."""

    def __init__(
        self, database: Database, data_dir: Path, settings: IndexSettings, *, exact_rows: int = EXACT_ROWS
    ) -> None:
        self._database = database
        self._data_dir = data_dir
        self._settings = settings
        self._exact_rows = exact_rows
        self._switching = threading.Lock()
        self._starting = threading.Lock()
        self._loader: threading.Thread | None = None
        self._pair: EnginePair | None = None

    def serving(self, *, wait: bool = False) -> EnginePair | None:
        """The engines for one request, up to date; None before any ingestion.

        One cheap read when nothing changed. A request keeps what it got: its generation stays readable, and the
        same, although another one goes live meanwhile. Whoever has to have the live one can `wait` until it is loaded.
        """
        live = self._live()
        if live is None:
            return None
        pair = self._pair
        if pair is not None and pair.identity == live.identity:
            pair.catch_up(live.newest)
            return pair
        if pair is None or wait or not self._is_standing(pair):
            pair = self._switched()
        else:
            self._load_beside()
        if pair is not None:
            pair.catch_up()
        return pair

    def close(self) -> None:
        """Wait for what is being loaded."""
        loader = self._loader
        if loader is not None:
            loader.join()

    def _live(self) -> catalog.Live | None:
        with self._database.read() as session:
            return catalog.live_state(session)

    def _is_standing(self, pair: EnginePair) -> bool:
        with self._database.read() as session:
            return catalog.is_standing(session, pair.identity)

    def _load_beside(self) -> None:
        """Load the live generation in a thread of its own; whoever asks meanwhile is answered from the one before."""
        with self._starting:
            if self._loader is None or not self._loader.is_alive():
                self._loader = threading.Thread(target=self._try_switching, name="generation-loader", daemon=True)
                self._loader.start()

    def _try_switching(self) -> None:
        try:
            self._switched()
        except Exception as error:  # noqa: BLE001 - the generation before goes on answering, and the next search retries
            log.warning("generation_not_loaded", error=type(error).__name__)

    def _switched(self) -> EnginePair | None:
        """The engines of the live generation, loaded if they were not."""
        with self._switching:
            live, pair = self._live(), self._pair
            if live is None or (pair is not None and pair.identity == live.identity):
                return pair
            loaded = EnginePair(
                self._database, self._data_dir, self._settings, live.identity, exact_rows=self._exact_rows
            )
            loaded.catch_up()
            self._pair = loaded
            return loaded
