"""The tokenizer of a GGUF: SmolLM's byte-level BPE, in which every digit is a token of its own.

Another kind would cut texts otherwise than the model was trained, and nobody would see it.
"""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import GgufHeader
from hllm.schema.gguf_model import refused
from hllm.schema.rules import one_line

_SPECIAL = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
_CONTROL = 3  # type of a token that stands for no text
# Of tokenizer.ggml: what SmolLM's says, or may leave out (None).
_KNOWN = {
    "model": ("gpt2",),
    "pre": ("smollm",),
    "add_bos_token": (False,),
    "add_eos_token": (False, None),
    "add_space_prefix": (False, None),
}


def gguf_tokenizer(header: GgufHeader) -> PreTrainedTokenizerFast:
    """The tokenizer: byte-level BPE in which every digit is a token.

    Raises:
        CheckpointError: another kind of tokenizer, or a damaged one.
    """
    values = {
        key.removeprefix("tokenizer.ggml."): value
        for key, value in header.metadata.items()
        if key.startswith("tokenizer.ggml.")
    }
    for key, known in _KNOWN.items():
        if values.get(key) not in known:
            raise refused(header, f"tokenizer.ggml.{key}", values.get(key))
    try:
        words, merges = values["tokens"], [tuple(line.split(" ")) for line in values["merges"]]
        kinds = values["token_type"]
        if len(kinds) != len(words) or len(set(words)) != len(words):
            raise ValueError("its tokens do not fit together")
        if not all(len(pair) == 2 for pair in merges):
            raise ValueError("a merge is no pair of tokens")
        raw = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=merges))
        numbers = {short: values.get(f"{name}_token_id") for name, short in _SPECIAL.items()}
        given = {short: number for short, number in numbers.items() if number is not None}
        if any(number < 0 for number in given.values()):
            raise ValueError("the number of a token is negative")
        special = {f"{short}_token": words[number] for short, number in given.items()}
    except Exception as error:  # the tokenizers library raises plain Exception
        raise CheckpointError(
            f"{header.path} holds no tokenizer ({one_line(error)}): copy the original file there."
        ) from error
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    control = [w for w, kind in zip(words, kinds, strict=True) if kind == _CONTROL]
    raw.add_special_tokens([AddedToken(w, special=True, normalized=False) for w in control])
    return PreTrainedTokenizerFast(tokenizer_object=raw, **special)
