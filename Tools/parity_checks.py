"""What the comparisons of Tools/parity*.py share: the program, random checkpoints, scores, and how results are shown."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Another build may be named by the environment.
RETORT = pathlib.Path(os.environ.get("RETORT", ROOT / ".build/release/retort"))
TOKENIZER = ROOT / "seedlings/tokenizer"
SMALL = dict(
    vocab_size=3072, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2, pad_token_id=0, bos_token_id=1,
    eos_token_id=2,
)


def quiet():
    """No progress bars and no advice between the results."""
    warnings.filterwarnings("ignore")
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def retort(*arguments, **options):
    """What the program prints, and what it prints on stderr; the comparison ends where it fails."""
    done = subprocess.run([str(RETORT), *map(str, arguments)], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"retort {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout, done.stderr


def random_ids(count):
    import torch

    return torch.randint(3, 3000, (1, count), generator=torch.Generator().manual_seed(4))


def save_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((TOKENIZER / name).read_bytes())


def random_model(kind, settings, seed=13):
    """A random network of a family in which biases and norms say something, too."""
    import torch
    from transformers import AutoModelForCausalLM, CONFIG_MAPPING

    torch.manual_seed(seed)
    config = CONFIG_MAPPING[kind](**{**SMALL, "attn_implementation": "eager", **settings})
    model = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):
                parameter.add_(torch.randn_like(parameter) * 0.2)
        for name, buffer in model.named_buffers():
            if name.endswith("layer_scalar"):
                buffer.add_(torch.randn_like(buffer) * 0.2)
    return model


def random_checkpoint(folder, kind, settings, seed=13):
    """Such a network as a folder, with the tokenizer of the seedlings."""
    model = random_model(kind, settings, seed)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model


def scores(folder, ids):
    """Retort's scores for ids of the shape [1, tokens]; or nothing, and the words of its refusal."""
    import torch

    text = ",".join(map(str, ids[0].tolist()))
    done = subprocess.run([str(RETORT), "logits", str(folder), "--ids", text], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode} and without a word"]
        return None, lines[-1].removeprefix("Error: ")
    return torch.tensor(json.loads(done.stdout)["logits"]), None


def difference(found, right):
    """The largest, as a share of the largest score; no number where one has one and the other has none."""
    if found.shape != right.shape:
        return float("inf")
    return (found - right).abs().max().item() / right.abs().max().item()


class Checks:
    """Results as they come, and what failed."""

    def __init__(self):
        self.failed = []

    def __call__(self, name, value, limit):
        good = value <= limit  # false for what is no number
        print(f"{'ok  ' if good else 'FAIL'}  {name}: {value:.3g} (limit {limit:g})", flush=True)
        if not good:
            self.failed.append(name)

    def end(self):
        sys.exit(f"{len(self.failed)} comparisons failed: {self.failed}" if self.failed else 0)


def main(compare, *arguments):
    """Runs one comparison in a folder of its own."""
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        compare(pathlib.Path(scratch), checks, *arguments)
    checks.end()
