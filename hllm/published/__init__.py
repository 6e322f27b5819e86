"""The authors' published checkpoints: their layout, their tokenizers, conversion to ours."""
