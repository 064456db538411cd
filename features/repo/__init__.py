"""The definitions alone: Feast's own tools import every file of this folder."""
