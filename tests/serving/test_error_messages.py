"""Errors of the store become sentences that name nothing of the machine."""

import pytest

from hybridstore import errors
from hybridstore.serving.error_sentences import error_sentence, misused

PATH = "/home/somebody/private/notes.db"


@pytest.mark.parametrize(
    "error",
    [
        errors.FileBusy(PATH, 30.0),
        errors.FileDamaged(PATH, "page 7 is torn"),
        errors.FileRefused(PATH, "it is no store"),
        errors.ModelUnavailable(f"{PATH}/model", f"there is not a folder {PATH}/model"),
        errors.EmbedderMismatch(f"{PATH}/one@abc", f"{PATH}/two@def"),
    ],
)
def test_no_path_of_the_machine_is_revealed(error):
    result = error_sentence(error)
    assert "private" not in result
    assert "the store" in result
    assert ";" in result  # and what can be done


def test_errors_that_a_model_can_act_on_keep_their_message():
    assert error_sentence(errors.InputError("limit is from 1 to 50")) == "limit is from 1 to 50"
    assert "operator can do that" in error_sentence(errors.MissingExtra("files", "reading PDF", "pypdf"))


def test_many_mistakes_are_counted_not_listed():
    mistakes = [{"loc": (f"field{n}",), "msg": "Field required"} for n in range(5)]
    result = misused("search", mistakes)
    assert (
        result
        == "search was not run; field0: field required; field1: field required; field2: field required (and 2 more)"
    )
