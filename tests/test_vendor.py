"""assets/vendor is what `npm run vendor` makes of the packages that package-lock.json names."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "assets" / "vendor"


@pytest.mark.skipif(
    shutil.which("npm") is None or not (ROOT / "node_modules" / "esbuild").is_dir(),
    reason="npm ci has not been run",
)
def test_the_library_of_the_map_is_that_of_npm(tmp_path):
    made = tmp_path / "scatterplot.js"
    subprocess.run(
        ["npm", "run", "--silent", "vendor"],
        cwd=ROOT,
        env={**os.environ, "TO": str(made)},
        check=True,
    )
    assert made.read_bytes() == (VENDOR / "scatterplot.js").read_bytes(), "run  npm run vendor"


def test_the_licences_name_every_package_in_it_with_its_version():
    text = " ".join((VENDOR / "banner.txt").read_text("utf-8").replace("//", "").split())
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    names, wanted = ["regl-scatterplot"], set()
    while names:
        name = names.pop()
        if name not in wanted:
            wanted.add(name)
            package = packages[f"node_modules/{name}"]
            names += [*package.get("dependencies", ()), *package.get("peerDependencies", ())]
    assert len(wanted) == 9
    for name in wanted:
        assert f"{name} {packages[f'node_modules/{name}']['version']}" in text, name
