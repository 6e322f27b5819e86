"""docs/importing.md: what the import says of itself, checks and backups."""

import pytest

from tests.guides.pages import inline

PAGE = "importing.md"


def test_help_of_the_import_and_of_a_format(reader):
    said = reader.types(inline(PAGE, "python -m app.ingest --help"))
    for name in ("amazon2014", "amazon2018", "amazon2023", "hllm", "pixelrec", "table"):
        assert name in said
    said = reader.types(inline(PAGE, "python -m app.ingest FORMAT --help"), {"FORMAT": "table"})
    assert "--map-interactions" in said and "--dry-run" in said


@pytest.mark.long
def test_a_backup_can_be_checked(games):
    games.types("cp data/games.db . && mkdir backups")
    backup = inline(PAGE, "python -m app.catalog backup games.db /backups/games.db")
    games.types(backup, {"/backups": "backups"})
    check = inline(PAGE, "python -m app.ingest check --catalog FILE")
    games.types(check, {"FILE": "backups/games.db"})
