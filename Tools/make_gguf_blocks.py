#!/usr/bin/env python3
"""Blocks of every type that ggml stores tensors in, and the numbers that the PyPI package gguf makes of them: the cases of
GGUFBlockTests. Bytes are drawn at random, but for the scales, which are numbers.

Usage: python Tools/make_gguf_blocks.py > Tests/RetortLLMTests/GGUF/blocks.jsonl
"""
import base64
import json

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Where a block's half-precision numbers stand.
HALVES = {
    "F32": [], "F16": [0], "BF16": [], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}
# Among them the smallest, one below the smallest normal one, zeros of both signs and the largest.
SCALES = np.array([0x0001, 0x83FF, 0x0000, 0x8000, 0x7BFF], dtype=np.uint16).view(np.float16)


def blocks(name, draw):
    numbers, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    count = 8 if numbers > 1 else 32
    if name in ("F32", "BF16"):
        floats = draw.normal(0, 1, count).astype(np.float32).view(np.uint32)
        return floats.view(np.uint8) if name == "F32" else (floats >> 16).astype(np.uint16).view(np.uint8)
    data = draw.integers(0, 256, (count, size), dtype=np.uint8)
    for place in HALVES[name]:
        scales = draw.normal(0, 0.1, count).astype(np.float16)
        scales[: len(SCALES)] = draw.permutation(SCALES)[: len(scales)]
        data[:, place : place + 2] = scales.view(np.uint8).reshape(count, 2)
    return data.reshape(-1)


def main():
    draw = np.random.default_rng(7)
    for name in HALVES:
        data = blocks(name, draw)
        numbers = dequantize(data, GGMLQuantizationType[name]).astype(np.float32)
        print(json.dumps({
            "name": name, "type": int(GGMLQuantizationType[name]), "data": base64.b64encode(data.tobytes()).decode(),
            "numbers": base64.b64encode(numbers.tobytes()).decode()}))


main()
