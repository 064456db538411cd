"""The routes by subject. None of them decides who may come in: `api.rest.gate` does."""
