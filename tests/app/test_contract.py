"""The types of app/contract*.py and assets/page/contract.js are the same ones."""

import re
import typing

from app import contract as contract_module
from app import contract_catalogs, contract_map, contract_models, contract_picks
from app.settings import ROOT


def contract():
    """Names and keys of the payload types in the scripts."""
    script = (ROOT / "assets" / "page" / "contract.js").read_text("utf-8")
    return {
        re.search(r"@typedef \{object\} (\w+)", comment)[1]: re.findall(
            r"@property \{[^{}]+\} (\w+)$", comment, re.M
        )
        for comment in re.findall(r"/\*\*.*?\*/", script, re.S)
    }


def typed_dicts():
    return {
        name: list(typing.get_type_hints(value))
        for module in (
            contract_module,
            contract_map,
            contract_picks,
            contract_models,
            contract_catalogs,
        )
        for name, value in vars(module).items()
        if typing.is_typeddict(value)
    }


def test_scripts_and_python_know_the_same_payloads():
    assert len(typed_dicts()) == 48
    assert contract() == typed_dicts()
