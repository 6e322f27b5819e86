import math

import pytest
import torch

from hllm.training.loss import (
    MAX_LOGIT_SCALE,
    clamp_logit_scale,
    contrastive_logits,
    contrastive_stats,
    info_nce,
)

X, Y = [1.0, 0.0], [0.0, 1.0]
INF = float("inf")


def logits_of(user, positives, negatives, scale=0.0, **options):
    tensors = (torch.tensor(value) for value in (user, positives, negatives))
    return contrastive_logits(*tensors, torch.tensor(scale), **options)


def test_logits_by_hand():
    # cos(user, positive) = 0.6, cos(user, negatives) = 0.8, -0.6; the lengths do not matter
    logits = logits_of([[3.0, 4.0]], [[2.0, 0.0]], [[0.0, 0.5], [-7.0, 0.0]], math.log(10))
    torch.testing.assert_close(logits, torch.tensor([[6.0, 8.0, -6.0]]))
    expected = math.log(sum(math.exp(value) for value in (6, 8, -6))) - 6
    assert info_nce(logits).item() == pytest.approx(expected, rel=1e-6)


def test_dot_products_by_hand():
    # Twice the target is no negative, however long it is; half as long another item is one.
    logits = logits_of([[3.0, 4.0]], [[2.0, 0.0]], [[0.0, 0.5], [4.0, 0.0]], cosine=False)
    assert logits.tolist() == [[6, 2, -INF]]


def test_the_target_and_its_duplicates_are_no_negatives():
    logits = logits_of([X, Y], [X, Y], [[5.0, 0.0], Y])
    assert logits.tolist() == [[1, -INF, 0], [1, 0, -INF]]


def test_threshold_is_strict_and_against_the_positive_not_the_user():
    near = [0.9, math.sqrt(1 - 0.81)]
    kept = logits_of([near], [X], [near])
    assert kept[0, 1].item() == pytest.approx(1)
    filtered = logits_of([Y], [X], [near], threshold=0.89)
    assert filtered[0, 1].item() == -INF
    assert logits_of([Y], [X], [X], threshold=1.0)[0, 1].item() == 0  # 1 is not above 1


def test_everything_filtered_is_loss_zero_with_finite_gradients():
    user = torch.tensor([[3.0, 1.0]], requires_grad=True)
    scale = torch.tensor(2.0, requires_grad=True)
    loss = info_nce(contrastive_logits(user, torch.tensor([X]), torch.tensor([X, X]), scale))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(user.grad).all()
    assert torch.isfinite(scale.grad)


def test_gradient_of_the_scale_is_finite_and_right_with_filtered_negatives():
    user = torch.tensor([[0.6, 0.8]], dtype=torch.double)
    positives = torch.tensor([X], dtype=torch.double)
    negatives = torch.tensor([X, Y], dtype=torch.double)
    scale = torch.tensor(1.0, dtype=torch.double, requires_grad=True)
    logits = contrastive_logits(user, positives, negatives, scale)
    torch.logsumexp(logits, dim=1).sub(logits[:, 0]).sum().backward()
    factor = math.e
    weight = 1 / (1 + math.exp(-factor * 0.2))  # of the one negative that is left
    assert scale.grad.item() == pytest.approx(weight * 0.2 * factor)


def test_gradcheck():
    torch.manual_seed(0)
    user, positives, negatives = (
        torch.randn(rows, 5, dtype=torch.double, requires_grad=True) for rows in (3, 3, 4)
    )
    scale = torch.tensor(0.7, dtype=torch.double, requires_grad=True)

    def loss(*inputs):
        logits = contrastive_logits(*inputs)
        return torch.logsumexp(logits, dim=1).sub(logits[:, 0]).mean()

    assert torch.autograd.gradcheck(loss, (user, positives, negatives, scale))


def test_no_positions_give_zero_with_a_gradient():
    user = torch.zeros(0, 4, requires_grad=True)
    logits = contrastive_logits(user, torch.zeros(0, 4), torch.randn(3, 4), torch.tensor(1.0))
    loss = info_nce(logits)
    loss.backward()
    assert loss.item() == 0
    assert contrastive_stats(logits) == {}


@pytest.mark.parametrize(("before", "after"), [(-1.0, 0.0), (2.5, 2.5), (9.0, MAX_LOGIT_SCALE)])
def test_scale_is_clamped_in_place(before, after):
    scale = torch.nn.Parameter(torch.tensor(before))
    clamp_logit_scale(scale)
    assert scale.item() == pytest.approx(after)
    assert scale.requires_grad


def test_stats_by_hand():
    columns = [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    logits = torch.tensor([columns, columns[::-1], [0.5, 0.6, -INF, -INF, 0.1, 0.0]])
    stats = contrastive_stats(logits)
    assert stats["nce_samples"] == pytest.approx((6 + 6 + 4) / 3)
    assert stats["top1_accuracy"] == pytest.approx(1 / 3)
    assert stats["top5_accuracy"] == pytest.approx(2 / 3)
    assert "top10_accuracy" not in stats
