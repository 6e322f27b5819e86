"""Makes one script of the page's modules, since gr.HTML runs a script and knows no `import`.

The modules are assets/page/*.js: ES modules for node, editors and linters. Here they are put one
after the other into one scope, what is imported before what imports it.
"""

import re
from pathlib import Path

from rjsmin import jsmin

# As the formatter writes them; an import or export that looks otherwise is refused.
NAMES = r"\{(?:\s*\w+\s*,)*(?:\s*\w+)?\s*\}"
IMPORT = re.compile(rf'^import {NAMES} from "\./([\w-]+\.js)";\n', re.M)
EXPORT = re.compile(r"^export (?=(?:async )?function |const )", re.M)
LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.M)
DECLARED = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.M)


def bundle(entry: Path) -> str:
    """One script of a module and all that it imports, itself last.

    Raises:
        ValueError: modules import each other in a circle, two declare the same name, or one
            imports or exports in a way that is not understood here.
    """
    owners: dict[str, str] = {}
    scripts = []
    for path, source in _modules(entry).items():
        script = EXPORT.sub("", IMPORT.sub("", source))
        left_over = LEFT_OVER.search(script)
        if left_over:
            raise ValueError(f"{path.name}: this cannot be bundled: {left_over[0]}")
        for name in DECLARED.findall(script):
            if name in owners:
                raise ValueError(f"{name} is declared in {owners[name]} and in {path.name}.")
            owners[name] = path.name
        scripts.append(script)
    return "\n".join(scripts)


def minified(entry: Path, start: str) -> str:
    """The script of `bundle` and a line that starts it, without comments and indentation.

    rjsmin eats blanks in template literals within template literals: a test finds that out, and
    anything else that would become another script.

    Raises:
        ValueError: as `bundle`.
    """
    return jsmin(f"{bundle(entry)}\n{start}\n")


def _modules(path: Path, importers: tuple[Path, ...] = ()) -> dict[Path, str]:
    """Sources by path, what is imported before what imports it."""
    if path in importers:
        raise ValueError(f"{path.name} imports itself through {importers[-1].name}.")
    source = path.read_text("utf-8")
    found: dict[Path, str] = {}
    for name in IMPORT.findall(source):
        found |= _modules(path.parent / name, (*importers, path))
    return {**found, path: source}
