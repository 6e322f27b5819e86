"""The published checkpoints, and what none of these files says about its model."""

from dataclasses import dataclass, field

from hllm.text import DEFAULT_PROMPT

_FOLDER = "https://huggingface.co/ByteDance/HLLM/resolve/main/{}/pytorch_model.bin"
_PIXEL = ("title", "tag", "description")
_BOOKS = ("title", "description")


@dataclass(frozen=True)
class Origin:
    """Where a checkpoint comes from.

    Attributes:
        source: address of the file.
        data: data set that it was trained on.
        base: name of the model that both language models started from.
    """

    source: str = ""
    data: str = ""
    base: str = ""

    @classmethod
    def published(cls, folder: str, data: str, base: str) -> "Origin":
        """One of the checkpoints that the authors published."""
        return cls(_FOLDER.format(folder), data, base)


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """What a checkpoint file does not say about its model.

    Attributes:
        text_keys: fields of an item's text, in order.
        item_prompt: put in front of every item text.
        max_text_tokens: MAX_TEXT_LENGTH it was trained with.
        max_history: MAX_ITEM_LIST_LENGTH_TEST it was evaluated with.
        item_pooling: "mean" where item_emb_token_n was 0.
        origin: what the model card says about where it comes from.
    """

    text_keys: tuple[str, ...]
    item_prompt: str = DEFAULT_PROMPT
    max_text_tokens: int = 256
    max_history: int = 50
    item_pooling: str = "item_token"
    origin: Origin = field(default_factory=Origin)


PUBLISHED = {
    "HLLM-1B-Pixel8M": SourceSettings(
        text_keys=_PIXEL,
        max_history=10,
        origin=Origin.published("1B_Pixel8M", "PixelRec 8M", "TinyLlama"),
    ),
    "HLLM-1B-Books-neg512": SourceSettings(
        text_keys=_BOOKS, origin=Origin.published("1B_books_neg512", "Amazon Books", "TinyLlama")
    ),
    "HLLM-1B-Books": SourceSettings(
        text_keys=_BOOKS, origin=Origin.published("1B_books", "Amazon Books", "TinyLlama")
    ),
    "HLLM-7B-Books": SourceSettings(
        text_keys=_BOOKS, origin=Origin.published("7B_books", "Amazon Books", "Baichuan2")
    ),
}
