"""docs/own-data.md: from two files to a page with a model of one's own."""

import re

import pytest
from gradio_client import Client

from tests.guides.pages import block, inline, text_of

PAGE = "own-data.md"


def recall(said, model):
    """recall@10 of a model in the table that an evaluation prints."""
    return float(re.search(rf"^\| {model} +\| +[\d.]+ \| +([\d.]+) \[", said, re.M)[1])


@pytest.mark.long
def test_from_the_files_to_the_page(reader):
    (reader.folder / "make.py").write_text(block(PAGE, "make"))
    reader.types(inline(PAGE, "python make.py"))
    said = reader.types(block(PAGE, "build"))
    assert said.splitlines()[-1].strip() == block(PAGE, "serve").strip()
    assert recall(said, "mine") > 2 * recall(said, "Item-kNN") > recall(said, "MiniLM decay")
    with reader.serves(block(PAGE, "serve")):
        pass
    recommend = re.search(r"`(Recommender\.from_pretrained.*?)`", text_of(PAGE))[1]
    code = f"from hllm import Recommender; print(len({recommend}.items))"
    assert reader.types(f"python -c '{code}'").split()[-1] == "10"
    preset = re.search(r"`(--preset that.json --output runs/other)`", text_of(PAGE))[1]
    reader.types('sed \'s/"epochs": [0-9]*/"epochs": 1/\' runs/mine/options.json > that.json')
    reader.types(f"{block(PAGE, 'build').strip()} {preset}", {"--output runs/mine": ""})
    said = reader.types(inline(PAGE, "python -m hllm.runs runs"))
    assert "mine" in said and "other" in said
    with (reader.folder / "items.csv").open("a") as file:
        file.write("r-new,quick Italian tart,Italian\n")
    said = reader.types(block(PAGE, "update"))
    assert "1 of 301 items have to be encoded" in said
    with reader.serves(block(PAGE, "serve")) as url:
        client = Client(url, verbose=False)
        found = client.predict("tart", api_name="/search")["items"]
        assert [item["item_id"] for item in found] == ["r-new"]
        answers = client.predict(["r-new"], 5, api_name="/recommend")["models"]
        assert [len(one["items"]) for one in answers] == [5, 5]
