"""Logging for any process: events with fields to stderr, never to stdout, which belongs to answers."""

import logging
import os
import sys
from pathlib import Path

import structlog


def configure(*, verbose: bool = False) -> None:
    """Set up structlog once per process: lines for a person on a terminal, JSON otherwise."""
    # A process that was started with its standard error closed has none.
    stream = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    on_terminal = stream.isatty()
    renderer = structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
