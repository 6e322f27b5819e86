"""Which errors a person reads as they are, and which one answers a request."""

import pytest

from app.catalog import Catalog
from app.errors import CatalogError, IngestError, RefusedError
from app.ingest.__main__ import main
from hllm.errors import HLLMError


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["export", "--catalog", "{}/none.db", "--output", "{}/out"], CatalogError),
        (["table", "--catalog", "{}/c.db"], IngestError),
    ],
)
def test_a_command_shows_each_as_one_line(tmp_path, capsys, arguments, kind):
    assert issubclass(kind, HLLMError)  # which is what commands catch
    assert main([argument.format(tmp_path) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1


def test_what_cannot_be_opened_is_an_error_of_the_catalogue_not_of_sqlite(tmp_path):
    (tmp_path / "c.db").write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogError, match="is not a catalogue"):
        Catalog.open(tmp_path / "c.db")


def test_a_refusal_has_a_status_and_is_never_shown_as_an_error_of_ours():
    error = RefusedError(413, "The body must not be longer.")
    assert (error.status, error.sentence, str(error)) == (413,) + (
        "The body must not be longer.",
    ) * 2
    assert not isinstance(error, HLLMError)  # or the page would show it instead of the gate
