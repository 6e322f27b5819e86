"""The command that recommends for a file: what it prints, and what it refuses."""

import pytest

from hllm.commands.recommend import main


@pytest.fixture
def histories(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text('user_id,item_id\na,"i""1"\na,"i""2"\nb,"i""3"\n')
    return path


def test_standard_output_holds_nothing_else(embedded_model, histories, tmp_path, capsys):
    arguments = ["--model", str(embedded_model), "--histories", str(histories), "--top-k", "2"]
    assert main([*arguments, "--output", str(tmp_path / "top.csv")]) == 0
    capsys.readouterr()
    assert main([*arguments, "--output", "-"]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "top.csv").read_text(encoding="utf-8")
    assert [line.split(",")[0] for line in printed.splitlines()[1:]] == ["a", "a", "b", "b"]


def test_the_database_on_the_disk_gives_the_same_items(embedded_model, histories, tmp_path):
    pytest.importorskip("lancedb", reason="requirements-scale.txt is not installed")
    common = ["--model", str(embedded_model), "--histories", str(histories), "--top-k", "3"]
    assert main([*common, "--output", str(tmp_path / "exact.csv")]) == 0
    assert main([*common, "--output", str(tmp_path / "disk.csv"), "--index", "lancedb"]) == 0
    exact, disk = (
        [line.split(",") for line in (tmp_path / name).read_text().splitlines()]
        for name in ("exact.csv", "disk.csv")
    )
    assert [row[:3] for row in disk] == [row[:3] for row in exact]
    assert [*embedded_model.glob("*.lancedb")] != []


def test_histories_of_other_items_are_an_error(embedded_model, tmp_path, caplog):
    path = tmp_path / "h.csv"
    path.write_text("user_id,item_id\na,x\nb,y\n")
    arguments = ["--model", embedded_model, "--histories", path, "--output", tmp_path / "top.csv"]
    assert main([*map(str, arguments)]) == 2
    assert "None of the 2 users has an item with an embedding" in caplog.text
    assert not (tmp_path / "top.csv").exists()


@pytest.mark.parametrize("top_k", ["0", "1000001"])
def test_an_impossible_number_of_items_is_refused_before_any_work(histories, capsys, top_k):
    with pytest.raises(SystemExit, match="2"):
        main(["--model", "no", "--histories", str(histories), "--output", "-", "--top-k", top_k])
    assert f"--top-k {top_k}: must be from 1 to 1000000" in capsys.readouterr().err


def test_a_folder_in_place_of_the_output_is_named(embedded_model, histories, tmp_path, caplog):
    arguments = ["--model", embedded_model, "--histories", histories, "--output", tmp_path]
    assert main([*map(str, arguments)]) == 2
    assert f"{tmp_path} is a folder: give the name of a csv file" in caplog.text
