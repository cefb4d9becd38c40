"""What is made small: three losses over cosines of questions and passages, all of them over whole batches or lists.

There is no loss over single triplets of question, positive and negative with a margin: one was tried by others on
harvested triples and took their nDCG@10 from .646 to .055, where the softmax over the batch did not.
"""

from __future__ import annotations

import torch


def softmax(
    cosines: torch.Tensor, targets: torch.Tensor, spared: torch.Tensor, temperature: float = 0.05
) -> torch.Tensor:
    """Give the mean cross-entropy of each question's target among all passages of the batch.

    `cosines` (n, m), `targets` (n,) int64, `spared` (n, m) bool: passages that are taken for neither right nor wrong.
    -log(exp(c_t / T) / Σ_j exp(c_j / T)) over all j that are not spared. InfoNCE: van den Oord et al., "Representation
    Learning with Contrastive Predictive Coding", 2018; with hard negatives among the passages: Karpukhin et al.,
    "Dense Passage Retrieval for Open-Domain Question Answering", 2020.
    """
    logits = (cosines / temperature).masked_fill(spared, float("-inf"))
    return torch.nn.functional.cross_entropy(logits, targets)


def listwise(
    cosines: torch.Tensor,
    scores: torch.Tensor,
    here: torch.Tensor,
    temperature: float = 0.05,
    softness: float = 0.1,
) -> torch.Tensor:
    """Give the mean KL divergence of each list's softmax of cosines from that of its scores.

    `cosines`, `scores` (n, k) and `here` (n, k) bool, False where a list has no such member. Σ_j p_j log(p_j / q_j),
    with p = softmax(scores / softness) and q = softmax(cosines / temperature). Hinton et al., "Distilling the Knowledge
    in a Neural Network", 2015; over a list: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise
    Approach", 2007. Fused scores of one list lie within a few tenths, hence the softness.
    """
    low = torch.finfo(cosines.dtype).min
    wanted = torch.softmax((scores / softness).masked_fill(~here, low), dim=1)
    logs = torch.log_softmax((cosines / temperature).masked_fill(~here, low), dim=1)
    terms = torch.xlogy(wanted, wanted) - wanted * logs
    return terms.masked_fill(~here, 0.0).sum(1).mean()


def sigmoid(
    cosines: torch.Tensor, targets: torch.Tensor, spared: torch.Tensor, temperature: float = 0.05
) -> torch.Tensor:
    """Give the loss of telling, pair by pair, whether a passage answers a question, summed over each question's pairs.

    Shapes as for `softmax`. -(1/n) Σ_ij log sigmoid(z_ij (c_ij / T + b)), z = 1 for targets, -1 for the others, without
    spared pairs. Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023. There, T and b are learned from
    b = -10; a trained encoder starts where T is known, and b = -1 / (2 T) sets the border at a cosine of one half.
    """
    signs = -torch.ones_like(cosines)
    signs[torch.arange(len(targets), device=targets.device), targets] = 1.0
    pairs = torch.nn.functional.logsigmoid(signs * (cosines - 0.5) / temperature)
    return -pairs.masked_fill(spared, 0.0).sum() / len(targets)
