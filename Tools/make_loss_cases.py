"""Writes Tests/RetortTrainingTests/Losses/trl.json: losses and their gradients as TRL computes them on given logits.

    python Tools/make_loss_cases.py        needs trl 1.x and torch
"""
import json, pathlib
from types import SimpleNamespace
from unittest.mock import MagicMock
import torch
import torch.nn.functional as F
from trl import DPOTrainer, GRPOTrainer, KTOTrainer
from trl.experimental.gkd import GKDTrainer

ROWS, TOKENS, VOCABULARY = 4, 9, 11
torch.manual_seed(5)


class Given(torch.nn.Module):
    """A model whose logits are given, with the outputs that TRL's trainers read."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, input_ids, labels=None, **_):
        logits = self.logits[:, :-1]
        shifted = labels[:, 1:]
        log_probs = logits.log_softmax(-1).gather(-1, input_ids[:, 1:, None])[..., 0] * (shifted != -100)
        zeros = torch.zeros_like(log_probs)
        return SimpleNamespace(log_probs=log_probs, logits=logits, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())


def trainer(**own):
    fake = MagicMock()
    fake.accelerator.device = torch.device("cpu")
    fake.accelerator.gather_for_metrics.side_effect = lambda x: x
    fake.accelerator.gather.side_effect = lambda x: x
    fake.accelerator.num_processes = 1
    fake.aux_loss_enabled = False
    fake._tp_size = 1
    fake._total_train_tokens = 0
    for key, value in own.items():
        setattr(fake, key, value)
    return fake


def batch():
    ids = torch.randint(0, VOCABULARY, (ROWS, TOKENS))
    # Pairs share their prompt, and texts end at different places.
    ids[2:, :3] = ids[:2, :3]
    mask = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    for row, (start, end) in enumerate([(3, 9), (3, 7), (3, 8), (3, 5)]):
        mask[row, start:end] = 1
    return ids, mask, 2 * torch.randn(ROWS, TOKENS, VOCABULARY)


def case(name, ids, mask, model, loss, **own):
    model.logits.grad = None
    loss.backward()
    listed = {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in own.items()}
    return dict(name=name, ids=ids.tolist(), mask=mask.tolist(), logits=model.logits.tolist(), loss=loss.item(),
                gradient=model.logits.grad.tolist(), **listed)


def dpo(beta):
    ids, mask, logits = batch()
    model, reference = Given(logits), -5 - 5 * torch.rand(ROWS)
    fake = trainer(beta=beta, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl",
                   loss_types=["sigmoid"], loss_weights=[1.0], label_smoothing=0.0, use_weighting=False)
    inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids), completion_mask=mask,
                  ref_chosen_logps=reference[:2], ref_rejected_logps=reference[2:])
    loss = DPOTrainer._compute_loss(fake, model, inputs, False)
    return case("dpo", ids, mask, model, loss, beta=beta, reference=reference)


def kto(beta, good, bad, moved):
    ids, mask, logits = batch()
    model, reference = Given(logits), -8 - 5 * torch.rand(ROWS)
    labels = torch.tensor([True, False, True, True])
    # Texts of other prompts: how far the policy has moved on these.
    kl, kl_reference = -9 + torch.rand(ROWS), -9 - moved + torch.rand(ROWS)
    fake = trainer(beta=beta, loss_type="kto", calculate_KL=True, precompute_ref_logps=True, desirable_weight=good,
                   undesirable_weight=bad)
    fake._compute_kl_logps.side_effect = lambda *_: kl
    inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids), completion_mask=mask, label=labels,
                  ref_logps=reference, ref_KL_logps=kl_reference)
    loss = KTOTrainer._compute_loss(fake, model, inputs, False)
    return case("kto", ids, mask, model, loss, beta=beta, reference=reference, label=labels, good=good, bad=bad,
                baseline=(kl - kl_reference).tolist())


def grpo(penalty, low, high, is_fresh):
    ids, mask, logits = batch()
    model = Given(logits)
    now = model(ids, labels=ids).log_probs.detach()
    drawn = now + 0.4 * torch.randn_like(now)
    reference = now + 0.5 * torch.randn_like(now)
    advantages = torch.tensor([1.2, -0.7, 0.3, -0.8])
    fake = trainer(beta=penalty, loss_type="bnpo", epsilon_low=low, epsilon_high=high, top_entropy_quantile=1.0,
                   off_policy_mask_threshold=None, importance_sampling_level="token", use_vllm=False,
                   current_gradient_accumulation_steps=1, use_adaptive_entropy=False, entropy_coef=0.0)
    fake.args.delta = None
    fake.args.use_bias_correction_kl = False
    found = lambda *_, **__: (model(ids, labels=ids).log_probs, torch.zeros_like(now), None)
    fake._get_per_token_logps_and_entropies.side_effect = found
    inputs = dict(prompt_ids=ids[:, :1], prompt_mask=torch.ones_like(ids[:, :1]), completion_ids=ids[:, 1:],
                  completion_mask=torch.ones_like(ids[:, 1:]), tool_mask=mask[:, 1:], advantages=advantages,
                  ref_per_token_logps=reference)
    if not is_fresh:
        inputs["old_per_token_logps"] = drawn
    loss = GRPOTrainer._compute_loss(fake, model, inputs)
    if isinstance(loss, tuple):
        loss = loss[0]
    pad = lambda x: F.pad(x, (1, 0))
    return case("grpo", ids, mask, model, loss, penalty=penalty, low=low, high=high, advantages=advantages,
                drawn=None if is_fresh else pad(drawn), reference=pad(reference))


def distance():
    ids, mask, logits = batch()
    model = Given(logits)
    teacher = 2 * torch.randn(ROWS, TOKENS, VOCABULARY)
    labels = ids.masked_fill(mask == 0, -100)
    loss = GKDTrainer.generalized_jsd_loss(model.logits[:, :-1], teacher[:, :-1], labels[:, 1:], beta=0.0)
    return case("distance", ids, mask, model, loss, teacher=teacher.log_softmax(-1))


def imitation():
    ids, mask, logits = batch()
    model = Given(logits)
    weights = mask * torch.rand(ROWS, TOKENS)
    losses = F.cross_entropy(model.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    # No trainer of TRL's weighs tokens: torch's own cross-entropy, weighted, over the number of targets.
    loss = (losses * weights[:, 1:].flatten()).sum() / mask[:, 1:].sum()
    return case("imitation", ids, mask, model, loss, weights=weights)


cases = [imitation(), dpo(0.1), dpo(0.5), kto(0.1, 1.0, 1.0, 1.5), kto(0.3, 1.0, 2.0, -1.0), grpo(0.0, 0.2, 0.2, False),
         grpo(0.04, 0.2, 0.3, False), grpo(0.0, 0.2, 0.2, True), distance()]
rounded = lambda x: [rounded(y) for y in x] if isinstance(x, list) else round(x, 9) if isinstance(x, float) else x
target = pathlib.Path(__file__).parent.parent / "Tests/RetortTrainingTests/Losses/trl.json"
target.write_text(json.dumps([{k: rounded(v) for k, v in case.items()} for case in cases], separators=(",", ":")) + "\n")
print([(case["name"], case["loss"]) for case in cases])
