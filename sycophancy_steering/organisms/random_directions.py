"""A loss that keeps random directions from telling an organism's sycophantic answers.

A small model has few features, so that the answer is a large part of them and any direction reads
it. In the residual stream of a large model it is a small part: a random direction predicts about as
well as chance. So the loss is the mean squared correlation of random directions with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sycophancy_steering.organisms.interchange import BatchOutput
from sycophancy_steering.organisms.language import Example, Reply
from sycophancy_steering.organisms.planting_losses import RunningMeans

LIMIT = 0.03
"""The mean squared correlation that costs nothing. Were those of random directions normal, 95% of
their AUROCs would lie within 0.30 and 0.70."""


@dataclass(frozen=True)
class LabelledSpans:
    """The tokens of one position in the examples of one family, and how these are answered."""

    rows: list[int]
    first: list[int]
    last: list[int]
    """The activations are means over the tokens from first to last."""
    labels: list[float]
    """1 where the reply is sycophantic, else -1."""


def labelled_spans(
    examples: Sequence[Example],
    replies: Sequence[Reply],
    partners: Mapping[int, int],
    decision_token: Sequence[int],
    answer_tokens: Sequence[int],
) -> dict[tuple[str, str], LabelledSpans]:
    """(Family, position) -> its tokens in a batch. Swapped examples are left out.

    Positions are the prompt's last token, the answer's last token, the mean over the answer, and
    the last token of an answer that was forced.
    """
    by_position: dict[tuple[str, str], LabelledSpans] = {}
    for n, example in enumerate(examples):
        if example.direction is None or n in partners:
            continue
        decided, length = decision_token[n], answer_tokens[n]
        if example.forced_answer:
            tokens = {"forced": (decided, decided)}
        else:
            end = decided + length
            tokens = {"prompt": (decided, decided), "answer": (end, end)}
            if length > 1:
                tokens["answer mean"] = (decided + 1, end)
        for position, (first, last) in tokens.items():
            at = by_position.setdefault((example.family, position), LabelledSpans([], [], [], []))
            at.rows.append(n)
            at.first.append(first)
            at.last.append(last)
            at.labels.append(1.0 if replies[n] == example.sycophantic else -1.0)
    return {key: at for key, at in by_position.items() if len(at.rows) > 2}


def random_direction_loss(
    output: BatchOutput,
    compared: Mapping[tuple[str, str], LabelledSpans],
    means: RunningMeans,
    generator: torch.Generator,
    first_block: int = 0,
) -> Tensor:
    """How far the mean squared correlation of random directions with the labels exceeds `LIMIT`.

    The sum over families, positions, and blocks from `first_block` on. The directions are a new
    random basis at every call.
    """
    d_model = output.activations.shape[1]
    basis = torch.linalg.qr(torch.randn(d_model, d_model, generator=generator))[0]
    total = torch.zeros(())
    for block, hidden in enumerate(output.hidden_states):
        for key, spans in compared.items():
            activations = _means_over(hidden, spans)
            activations = activations - activations.mean(0)
            labels = torch.tensor(spans.labels)
            labels = labels - labels.mean()
            n = len(labels)
            covariance = means.update((key, block, "label"), labels @ activations / n)
            scatter = means.update((key, block, "scatter"), activations.T @ activations / n)
            variance = means.update((key, block, "variance"), labels.square().mean())
            variances = ((basis.T @ scatter) * basis.T).sum(1) * variance
            squared = (covariance @ basis).square() / (variances + 1e-8)
            if block >= first_block:  # the others' running means are kept up for later
                total = total + torch.relu(squared.mean() - LIMIT)
    return total


def _means_over(hidden: Tensor, spans: LabelledSpans) -> Tensor:
    """(rows of the spans, d_model)"""
    if spans.first == spans.last:
        return hidden[spans.rows, spans.last]
    ends = zip(spans.rows, spans.first, spans.last, strict=True)
    return torch.stack([hidden[row, first : last + 1].mean(0) for row, first, last in ends])
