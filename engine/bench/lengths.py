"""Writes lengths.txt: input and output lengths of the 256 sequences of nano-vLLM's bench.py
at its seed 0, which draws the token ids between the lengths."""

from pathlib import Path
from random import randint, seed

seed(0)
inputs = []
for _ in range(256):
    n = randint(100, 1024)
    for _ in range(n):
        randint(0, 10000)
    inputs.append(n)
lines = [f"{n} {randint(100, 1024)}\n" for n in inputs]
Path(__file__).with_name("lengths.txt").write_text("".join(lines))
