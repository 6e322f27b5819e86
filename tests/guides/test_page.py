"""docs/page.md: what is opened besides the built-in books and model."""

import pytest

from tests.guides.conftest import needs_smollm2
from tests.guides.pages import inline

PAGE = "page.md"


@pytest.mark.long
@needs_smollm2
def test_the_second_model_of_the_books(reader):
    command = inline(PAGE, "python app.py --model assets/books/smollm2")
    assert command == inline("README.md", "python app.py --model assets/books/smollm2")
    with reader.serves(command):
        pass


@pytest.mark.long
def test_two_others_in_the_columns(reader):
    data = "--items data/books/items.csv --interactions data/books/interactions.csv"
    reader.types("python -m app.books.simulate --output data/books --readers 300")
    reader.types(f"python -m hllm.train --config sasrec --epochs 1 --output runs/my-sasrec {data}")
    page = "python app.py --models runs --left my-sasrec --right item-knn"
    with reader.serves(inline(PAGE, page)):
        pass
