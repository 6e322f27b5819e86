"""What a spreadsheet would run is text."""

import pytest

from app.spreadsheet import harmless, is_formula


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-dash", "@name", "\t=1", "\r=1"])
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(cell):
    assert is_formula(cell)
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=b", "-5", "+1.5", "'=x", 7, -7.5, None])
def test_other_cells_stay_as_they_are(cell):
    assert not is_formula(cell)
    assert harmless(cell) == cell
