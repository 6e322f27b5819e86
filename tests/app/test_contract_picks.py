"""The payloads of picks beside the others."""

import typing

from app import contract, contract_picks


def test_no_payload_has_two_meanings():
    """tests/app/test_contract.py looks at both modules as one: the second would hide the first."""
    kinds = [
        {name: kind for name, kind in vars(module).items() if typing.is_typeddict(kind)}
        for module in (contract, contract_picks)
    ]
    shared = kinds[0].keys() & kinds[1].keys()
    assert shared == {"FilterPayload", "WrittenPayload"}
    assert all(kinds[0][name] is kinds[1][name] for name in shared)
