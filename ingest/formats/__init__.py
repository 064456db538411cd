"""Readers of documents in files: one module a format, each a pure function of bytes to what stands in them."""
