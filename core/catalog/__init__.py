"""The catalogue's queries, by what they are about. Each takes an open session and never commits it."""
