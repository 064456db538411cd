"""The floor: words, errors, settings, tables, database and catalogue. It knows no model, no index, no web."""
