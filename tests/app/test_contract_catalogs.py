"""The payloads of catalogues beside the others."""

import typing

from app import contract, contract_catalogs, contract_map, contract_models, contract_picks


def test_no_payload_has_two_meanings():
    """tests/app/test_contract.py looks at the modules as one: the last would hide the first."""
    modules = (contract, contract_map, contract_models, contract_picks)
    others = {name for module in modules for name in vars(module)}
    own = {name for name, kind in vars(contract_catalogs).items() if typing.is_typeddict(kind)}
    assert own == {"CatalogPayload", "CatalogModelPayload", "CatalogsPayload"}
    assert own & others == set()
