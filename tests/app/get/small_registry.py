"""A registry of small files in the layout of the published ones, and these files."""

import gzip
import hashlib
import io
import json

import torch

from tests.hllm.byte_tokenizer import byte_tokenizer
from tests.hllm.published.reference_states import LLAMA, make_state

NUM_ITEMS = 30
REGISTRY = """
[data.small-amazon]
name = "amazon-{{name}}-2023"
title = "Amazon Reviews 2023, {{file}}"
page = "https://data.example/about"
licence = "none stated"
format = "amazon2023"
options = ["--used-items"]
text_keys = ["title"]
items = "https://data.example/meta/{{file}}"
interactions = "https://data.example/ratings/{{file}}"
splits = [
    "https://data.example/a.train.csv",
    "https://data.example/a.valid.csv",
    "https://data.example/a.test.csv",
]
unconfirmed = ["checksum of the items"]

[data.small-amazon.members.games]
file = "Small_Games.gz"
items = 30
interactions = 96
kept = 24
items_mb = 1
interactions_mb = 1
sha256 = "{ratings}"

[data.hand]
name = "hand-{{name}}"
title = "By hand, {{file}}"
page = "https://data.example/hand"
licence = "none stated"
format = "hllm"
text_keys = ["title"]
by_hand = "Open {{page}}, and save {{file}} as {{interactions}} and {{items}}."

[data.hand.members]
small = {{ file = "Hand", items = 2, interactions = 2, items_mb = 1, interactions_mb = 1 }}

[models.hllm-small]
title = "A small HLLM"
page = "https://models.example/about"
licence = "Apache-2.0"
preset = "HLLM-1B-Books"
base = "llama-small"
dtype = "bfloat16"
parameters = 30000

[[models.hllm-small.weights]]
url = "https://models.example/small/pytorch_model.bin"
bytes = {bytes}
sha256 = "{weights}"

[models.llama-small]
title = "A small Llama"
page = "https://models.example/about"
licence = "Apache-2.0"
parameters = 30000
files = [
    {{ url = "https://models.example/llama/config.json", mb = 1 }},
    {{ url = "https://models.example/llama/tokenizer.json", mb = 1 }},
    {{ url = "https://models.example/llama/tokenizer_config.json", mb = 1 }},
]
"""


def data_files():
    """The files of amazon-games-2023, by the paths of a mirror; six items are never bought."""
    items = "".join(
        json.dumps(
            {"parent_asin": f"B{n:03}", "title": f"Game number {n}", "description": ["Fun."]}
        )
        + "\n"
        for n in range(NUM_ITEMS)
    )
    rows = ["user_id,parent_asin,rating,timestamp"]
    rows += [
        f"U{u},B{(7 * u + t) % 24:03},5.0,{1600000000000 + t}" for u in range(16) for t in range(6)
    ]
    return {
        "/data.example/meta/Small_Games.gz": gzip.compress(items.encode(), mtime=0),
        "/data.example/ratings/Small_Games.gz": gzip.compress(
            ("\n".join(rows) + "\n").encode(), mtime=0
        ),
        **{f"/data.example/a.{part}.csv": rows[0].encode() for part in ("train", "valid", "test")},
    }


def model_files(folder):
    """The files of hllm-small and llama-small, by the paths of a mirror."""
    byte_tokenizer().save_pretrained(folder)
    buffer = io.BytesIO()
    torch.save(make_state(LLAMA, LLAMA), buffer)
    small = {"config.json": json.dumps(LLAMA).encode()}
    small |= {
        name: (folder / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")
    }
    return {f"/models.example/llama/{name}": content for name, content in small.items()} | {
        "/models.example/small/pytorch_model.bin": buffer.getvalue()
    }


def registry_text(files):
    """The registry of these files."""
    weights = files.get("/models.example/small/pytorch_model.bin", b"none")
    return REGISTRY.format(
        ratings=hashlib.sha256(files["/data.example/ratings/Small_Games.gz"]).hexdigest(),
        weights=hashlib.sha256(weights).hexdigest(),
        bytes=len(weights),
    )
