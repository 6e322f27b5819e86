"""The command that writes simulated readers."""

import pytest

from app.books import simulate as simulate_cli


def test_command_line(tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    assert simulate_cli.main(["--output", str(tmp_path / "x"), "--readers", "50"]) == 0
    assert "50 simulated readers" in caplog.text
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "interactions.csv",
        "items.csv",
    ]
    with pytest.raises(SystemExit):
        simulate_cli.main(["--output", str(tmp_path), "--readers", "0"])
    assert "--readers must be from 1 to 10000000, not 0" in capsys.readouterr().err
