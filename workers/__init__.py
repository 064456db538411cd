"""Celery's side of ingestion. Its parts arrive with the broker."""
