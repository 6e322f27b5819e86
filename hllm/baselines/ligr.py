"""The Transformer layer of eSASRec: LiGR, attention and SwiGLU behind learned gates.

As in eSASRec (arXiv 2508.06450), which takes it from LiGR (arXiv 2502.03417) and publishes it in
RecTools (rectools.models.nn.transformers.ligr), with whose numbers this one is compared.

B users, S history items, D width, I inner width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LiGRLayer(nn.Module):
    """x + sigmoid(W1 x + b1) * attention(norm(x)), then the same with W2 and a SwiGLU.

    Args:
        hidden_size: D.
        num_heads: of the attention; must divide hidden_size.
        inner_size: I.
        dropout: probability, on the attention's weights, inside the SwiGLU, and on what both give.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, inner_size: int, *, dropout: float
    ) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(
            hidden_size, num_heads, dropout=dropout, batch_first=True
        )
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention_gate = nn.Linear(hidden_size, hidden_size)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward_gate = nn.Linear(hidden_size, hidden_size)
        self.activated = nn.Linear(hidden_size, inner_size, bias=False)
        self.linear = nn.Linear(hidden_size, inner_size, bias=False)
        self.down = nn.Linear(inner_size, hidden_size, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, hidden: Tensor) -> Tensor:
        """States (B, S, D) -> (B, S, D).

        Args:
            states: (B, S, D).
            hidden: (S, S) True where a query (row) must not look at a key (column).
        """
        normed = self.attention_norm(states)
        mixed, _ = self.attention(normed, normed, normed, attn_mask=hidden, need_weights=False)
        # The gate reads the states as they are, not the normalised ones.
        gate = torch.sigmoid(self.attention_gate(states))
        states = states + gate * self.dropout(mixed)
        normed = self.feed_forward_norm(states)
        inner = self.dropout(F.silu(self.activated(normed)) * self.linear(normed))
        gate = torch.sigmoid(self.feed_forward_gate(states))
        return states + gate * self.dropout(self.down(inner))
