"""Defaults that stand in two floors of the house say the same."""

from core.settings import AskSettings
from generation.evidence import ANSWER_THRESHOLD
from generation.prompts import GROUNDED


def test_the_default_threshold_is_the_one_that_the_weights_were_fitted_for() -> None:
    assert AskSettings().threshold == ANSWER_THRESHOLD


def test_no_more_examples_can_be_set_than_there_are() -> None:
    [most] = [bound.le for bound in AskSettings.model_fields["shots"].metadata if hasattr(bound, "le")]
    assert most == len(GROUNDED.examples)
