"""Small by budget: what grows past it has to be split."""

from collections.abc import Callable
from statistics import median

from tests.architecture.tree import functions, length, product

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MEDIAN_FUNCTION = 10
MIGRATIONS = "core/migrations/versions/"  # a migration is one list of statements, however many tables it makes


def test_no_file_of_the_product_is_longer_than_the_budget() -> None:
    too_long = {source.path: count for source in product() if (count := len(source.lines)) > LONGEST_FILE}
    assert not too_long, f"files over {LONGEST_FILE} lines"


def test_no_function_of_the_product_is_longer_than_the_budget() -> None:
    too_long = {
        f"{source.path}:{function.lineno} {function.name}": length(function)
        for source in product()
        for function in functions(source.tree)
        if length(function) > LONGEST_FUNCTION and not source.path.startswith(MIGRATIONS)
    }
    assert not too_long, f"functions over {LONGEST_FUNCTION} lines"


def test_the_median_function_fits_in_ten_lines(record_property: Callable[[str, object], None]) -> None:
    per_function = [length(function) for source in product() for function in functions(source.tree)]
    per_file = [len(source.lines) for source in product()]
    record_property("median_function_lines", median(per_function))
    record_property("median_file_lines", median(per_file))
    assert median(per_function) <= MEDIAN_FUNCTION, f"median {median(per_function)}, files {median(per_file)}"
