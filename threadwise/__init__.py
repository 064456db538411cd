"""The composition root: what is built once per process, and the operations that need all of it."""
