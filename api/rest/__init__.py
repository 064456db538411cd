"""The REST service: a thin asynchronous shell around the composition root."""
