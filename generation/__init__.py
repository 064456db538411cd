"""Passages become a verified, cited answer. Its parts arrive with the language model."""
