"""Tokenizers of language models without any code that comes with them.

A tokenizer.json is used as it is. A sentencepiece file (Baichuan2 has nothing else) is translated:
byte-pair encoding with byte fallback, as its own settings say.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf
from transformers.tokenization_utils_base import generate_merges

from hllm.errors import CheckpointError

_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 2, 3, 4, 6  # types of sentencepiece's pieces
_BPE = 2  # sentencepiece's number of its byte-pair model
_SPACE = "\u2581"  # what sentencepiece writes for a blank


def portable_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a language model; code in the folder is never run.

    Args:
        folder: with tokenizer.json, tokenizer.model or vocab.txt, and tokenizer_config.json.

    Raises:
        CheckpointError: there is none, it is damaged, or it would need code.
    """
    folder = Path(folder)
    try:
        if (folder / "tokenizer.json").is_file():
            # The general class: the model's own would rebuild parts of what the file says.
            return PreTrainedTokenizerFast.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        if (folder / "tokenizer.model").is_file():
            return _from_sentencepiece(folder)
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except CheckpointError:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        raise CheckpointError(
            f"{folder} holds no tokenizer that can be read ({error}): copy the language model's "
            "tokenizer.json, or its tokenizer.model and tokenizer_config.json, there."
        ) from error


def _from_sentencepiece(folder: Path) -> PreTrainedTokenizerBase:
    proto = _read_proto(folder / "tokenizer.model")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    vocabulary = {piece.piece: row for row, piece in enumerate(proto.pieces)}
    unknown = proto.pieces[proto.trainer_spec.unk_id].piece
    # Pieces with better scores are merged first; pieces that text never becomes are not merged.
    closed = (_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE)
    merges = generate_merges(
        vocabulary,
        {piece.piece: piece.score for piece in proto.pieces},
        skip_tokens={piece.piece for piece in proto.pieces if piece.type in closed},
    )
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = _normalizer(proto.normalizer_spec)
    prefix = proto.normalizer_spec.add_dummy_prefix
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        + ([decoders.Strip(content=" ", left=1)] if prefix else [])
    )
    for kind, special in ((_CONTROL, True), (_USER_DEFINED, False)):
        pieces = [piece.piece for piece in proto.pieces if piece.type == kind]
        # User-defined symbols are looked for in the text after its blanks have become _SPACE.
        tokens = [AddedToken(piece, normalized=not special, special=special) for piece in pieces]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(tokens)
    special_tokens = _special_tokens(settings, proto, unknown)
    # True is what LlamaTokenizer and Baichuan's own class do when nothing is said.
    if settings.get("add_bos_token", True):
        first = special_tokens["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, vocabulary[first])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special_tokens
    )


def _read_proto(path: Path) -> Any:
    try:
        proto = import_protobuf().ModelProto()
    except ImportError as error:
        raise CheckpointError(
            f"{path} is a sentencepiece file: run  pip install sentencepiece protobuf"
        ) from error
    proto.ParseFromString(path.read_bytes())
    if proto.trainer_spec.model_type != _BPE or not proto.trainer_spec.byte_fallback:
        raise CheckpointError(
            f"{path} is not a byte-pair encoding with byte fallback: give a folder with the "
            "tokenizer.json of this language model."
        )
    # With a prefix for the text, `tokenizers` would put one in front of each such symbol as well.
    written = [piece.piece for piece in proto.pieces if piece.type == _USER_DEFINED]
    if proto.normalizer_spec.add_dummy_prefix and written:
        raise CheckpointError(
            f"{path} combines a prefix with symbols of its own ({written[0]!r}), which cannot be "
            "translated exactly: give a folder with a tokenizer.json."
        )
    return proto


def _normalizer(spec: Any) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(_SPACE))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", _SPACE)])


def _special_tokens(settings: dict[str, Any], proto: Any, unknown: str) -> dict[str, str]:
    tokens = {
        "unk_token": unknown,
        "bos_token": proto.pieces[proto.trainer_spec.bos_id].piece,
        "eos_token": proto.pieces[proto.trainer_spec.eos_id].piece,
    }
    for name in ("unk_token", "bos_token", "eos_token", "pad_token"):
        value = settings.get(name)
        if isinstance(value, dict):  # an AddedToken, as transformers saves it
            value = value.get("content")
        if value:
            tokens[name] = value
    return tokens
