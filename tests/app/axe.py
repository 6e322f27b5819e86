"""axe-core in the real browser: what it finds serious about accessibility."""

from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(not _SCRIPT.exists(), reason="axe-core is not installed: npm ci")


def serious_problems(page):
    """Rule and the first elements of what is serious or critical in a page as it stands."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_SCRIPT.read_text("utf-8"))
    violations = page.evaluate(
        "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"
    )
    return [
        (found["id"], [node["html"][:200] for node in found["nodes"][:3]])
        for found in violations
        if found["impact"] in ("serious", "critical")
    ]
