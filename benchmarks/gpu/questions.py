"""The paper's questions with two SmolLM2, as training runs; and the two trainings before them.

Imports no model library. Every question changes one thing of the point "base": both language models
pre-trained, tuned in full, all 30 layers, all users, the [ITEM] token.
"""

from dataclasses import dataclass

# The paper's model: 576 numbers wide, both of them, so that there is nothing to adapt.
PAIR = (
    "--item_llm smollm2-135m --user_llm smollm2-135m --item_adapter none"
    " --precision bf16 --max_text_tokens 64"
    # A step reads some 50,000 tokens, of which every one would keep 1 MB of activations.
    " --gradient_checkpointing True"
)
TOKEN = "--item_pooling item_token"
FULL = "--item_training full --user_training full --learning_rate 1e-4 --item_learning_rate 1e-4"
LORA = "--item_training lora --user_training lora --learning_rate 3e-4 --item_learning_rate 3e-4"
BATCH = "--max_history 50 --batch_size 128 --num_negatives 1024"
# A training is stopped at its share of the time and goes on from its last validation: so these are
# not far from each other.
SHORT = f"{BATCH} --max_steps 200 --epochs 1000 --eval_every 50 --eval_users 2000 --patience 1000"
BOOKS_KEYS = ("title", "creator", "categories", "tags", "series")


@dataclass(frozen=True)
class Training:
    """One training run.

    Attributes:
        question: what it is part of.
        point: its value.
        options: of hllm.train, without data and output.
        users: share of the users that are trained on.
    """

    question: str
    point: str
    options: str
    users: float = 1.0

    @property
    def name(self) -> str:
        """Of the case, and of its folder."""
        return f"{self.question}-{self.point}".replace(" ", "-")


BOOKS = Training(
    "built-in",
    "books",
    f"{PAIR} {TOKEN} {LORA} --lora_rank 8 --max_history 60 --batch_size 128 --num_negatives 1024"
    " --epochs 5 --eval_every 50 --eval_users 3000 --patience 10 --dropout 0.1",
)
DATASET = Training(
    "full",
    "10 epochs",
    f"{PAIR} {TOKEN} {FULL} {BATCH} --epochs 10 --eval_every 100 --eval_users 3000 --patience 10",
)
_SAME = f"{PAIR} {SHORT}"
QUESTIONS = (
    Training("base", "pre-trained", f"{_SAME} {TOKEN} {FULL}"),
    Training("weights", "user random", f"{_SAME} {TOKEN} {FULL} --user_pretrained no"),
    Training("weights", "item random", f"{_SAME} {TOKEN} {FULL} --item_pretrained no"),
    Training(
        "weights",
        "both random",
        f"{_SAME} {TOKEN} {FULL} --item_pretrained no --user_pretrained no",
    ),
    Training("tuning", "lora", f"{_SAME} {TOKEN} {LORA}"),
    # A frozen Item LLM cannot learn its [ITEM] token, so its states are averaged.
    Training(
        "tuning",
        "item frozen",
        f"{_SAME} --item_pooling mean --item_training frozen --user_training full"
        " --learning_rate 1e-4",
    ),
    Training("pooling", "mean", f"{_SAME} --item_pooling mean {FULL}"),
    *(
        Training(
            "layers",
            str(count),
            f"{_SAME} {TOKEN} {FULL} --item_llm_layers {count} --user_llm_layers {count}",
        )
        for count in (6, 12, 18)
    ),
    *(
        Training("users", f"{share:.0%}".replace("%", " percent"), f"{_SAME} {TOKEN} {FULL}", share)
        for share in (0.1, 0.25, 0.5)
    ),
)
