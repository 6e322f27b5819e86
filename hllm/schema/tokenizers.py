"""Loading the tokenizer of a folder that may come from anybody: no code, files within bounds."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import gguf_in, read_gguf
from hllm.schema.rules import one_line, read_object, shown

# Several times what real tokenizers have: reading a larger file could fill the memory.
_MOST_BYTES = {
    "tokenizer.json": 200_000_000,
    "tokenizer.model": 50_000_000,
    "vocab.json": 50_000_000,
    "vocab.txt": 50_000_000,
    "merges.txt": 50_000_000,
    "tokenizer_config.json": 20_000_000,
    "special_tokens_map.json": 20_000_000,
    "added_tokens.json": 20_000_000,
    "config.json": 2_000_000,
}
# transformers' own classes for the architectures of hllm.schema.configs, and the general ones. Each
# may also end in "Fast".
_CLASSES = (
    "PreTrainedTokenizer",
    "TokenizersBackend",
    "BertTokenizer",
    "CodeLlamaTokenizer",
    "GPT2Tokenizer",
    "GemmaTokenizer",
    "LlamaTokenizer",
    "MPNetTokenizer",
    "Qwen2Tokenizer",
)
# Keys that make a loader look for code, or for files elsewhere.
_LOADER_KEYS = ("auto_map", "trust_remote_code", "code_revision", "gguf_file", "mistral_format")


def check_tokenizer_files(folder: str | Path) -> None:
    """Look at a tokenizer's files before transformers does.

    Raises:
        CheckpointError: a file is too large, or tokenizer_config.json is damaged or asks for code.
    """
    folder = Path(folder)
    for name, most in _MOST_BYTES.items():
        path = folder / name
        if path.is_file() and path.stat().st_size > most:
            raise CheckpointError(
                f"{path} is larger than {most // 1_000_000} MB: copy the original file there."
            )
    path = folder / "tokenizer_config.json"
    if path.is_file():
        _check_settings(path)


def _check_settings(path: Path) -> None:
    try:
        values = read_object(path, _MOST_BYTES[path.name])
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}): copy the original file there."
        ) from error
    for key in _LOADER_KEYS:
        if values.get(key) is not None:
            raise CheckpointError(
                f"{path}: {key} would run code of this folder or read other files, which is never "
                "done; save the tokenizer with a class of transformers (tokenizer.json)."
            )
    _check_choice(path, "backend", values.get("backend"), ("tokenizers", "sentencepiece"))
    kind = values.get("tokenizer_class")
    # What is not a text stays as it is: _check_choice refuses it.
    known = kind.removesuffix("Fast") if type(kind) is str else kind
    _check_choice(path, "tokenizer_class", known, _CLASSES)


def _check_choice(path: Path, key: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value is not None and (type(value) is not str or value not in allowed):
        raise CheckpointError(
            f"{path}: {key} is {shown(value)}, but must be one of {', '.join(allowed)}; save the "
            "tokenizer with one of them (tokenizer.json)."
        )


def read_tokenizer(folder: str | Path, vocabulary_size: int) -> PreTrainedTokenizerBase:
    """Load a tokenizer; nothing that the folder holds is run.

    Args:
        folder: with tokenizer.json or vocab.txt, and tokenizer_config.json; or with one GGUF.
        vocabulary_size: of the language model that reads its ids.

    Raises:
        CheckpointError: there is none, it is damaged, it would need code, or it belongs to another
            model.
    """
    check_tokenizer_files(folder)
    gguf = gguf_in(folder)
    try:
        tokenizer: PreTrainedTokenizerBase
        if gguf:
            from hllm.schema.gguf_tokenizer import gguf_tokenizer  # noqa: PLC0415  few models are GGUF

            tokenizer = gguf_tokenizer(read_gguf(gguf))
        else:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        largest = max(tokenizer.get_vocab().values(), default=0)
    except CheckpointError:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        raise CheckpointError(
            f"{folder} holds no tokenizer ({one_line(error)}): copy the Item LLM's tokenizer files "
            "there."
        ) from error
    # An id without a word embedding would fail later, in the middle of an encoding.
    if largest >= vocabulary_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has ids up to {largest}, the language model in config.json "
            f"{vocabulary_size} words: copy the tokenizer of this language model there."
        )
    return tokenizer
