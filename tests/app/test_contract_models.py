"""The payloads of models beside the others."""

import typing

from app import contract, contract_models, contract_picks


def test_no_payload_has_two_meanings():
    """tests/app/test_contract.py looks at the modules as one: the last would hide the first."""
    kinds = [
        {name: kind for name, kind in vars(module).items() if typing.is_typeddict(kind)}
        for module in (contract, contract_picks, contract_models)
    ]
    for name, kind in kinds[2].items():
        assert all(others.get(name, kind) is kind for others in kinds)
