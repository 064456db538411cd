"""Celery's side of ingestion: workers that answer rings, the clock that rings, the doorbell between them."""
