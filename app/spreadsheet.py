"""Cells that a spreadsheet takes for formulas, which may fetch or run things, are made harmless."""

SIGNS = ("=", "+", "-", "@", "\t", "\r")


def is_formula(value: object) -> bool:
    """Whether a spreadsheet would take a cell for a formula."""
    return isinstance(value, str) and value.startswith(SIGNS) and not _is_number(value)


def harmless(value: object) -> object:
    """A cell that is not taken for a formula: with an apostrophe before it, if need be."""
    return f"'{value}" if is_formula(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
