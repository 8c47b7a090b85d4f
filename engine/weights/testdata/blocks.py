"""Writes blocks.gguf and blocks.f32.gz beside this script.

  python blocks.py

blocks.gguf    a tensor of random bytes for every block type that is read, with its
               scales taken from every class of binary16; and one (IQ4_XS) that is not read
blocks.f32.gz  what the gguf package decodes: float32, little-endian, in file order
Needs: gguf, numpy.
"""
import gzip
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

here = Path(__file__).parent
rng = np.random.default_rng(11)
# Where each type keeps its binary16 scales, in bytes from the start of a block.
SCALES = {
    T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}
# Zeros, subnormals, least and greatest normals, infinities, both kinds of NaN.
EDGES = [0, 0x8000, 1, 0x8001, 0x3FF, 0x83FF, 0x400, 0x8400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x7D01]
ROWS = 3


def blocks(kind):
    """As many blocks as there are pairs of edges and a few ordinary ones, in rows."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    n = {1: len(EDGES) + 4, 2: len(EDGES) + 10}[len(SCALES[kind])] // ROWS * ROWS
    raw = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for nth, at in enumerate(SCALES[kind]):
        scale = (rng.standard_normal(n) * 0.01).astype(np.float16).view(np.uint16)
        edges = np.array(EDGES if nth == 0 else EDGES[::-1], np.uint16)
        scale[nth * 4 : nth * 4 + len(edges)] = edges[: n - nth * 4]
        raw[:, at : at + 2] = scale.view(np.uint8).reshape(n, 2)
    raw[-1, :] = np.where(np.isin(np.arange(size), SCALES[kind]), raw[-1, :], 255)
    raw[-2, :] = np.where(np.isin(np.arange(size), SCALES[kind]), raw[-2, :], 0)
    return raw.reshape(ROWS, -1)


writer = gguf.GGUFWriter(here / "blocks.gguf", "test")
decoded = []
with np.errstate(all="ignore"):
    for kind in SCALES:
        raw = blocks(kind)
        writer.add_tensor(kind.name.lower(), raw, raw_dtype=kind)
        decoded.append(gguf.quants.dequantize(raw, kind).astype(np.float32).reshape(-1))
writer.add_tensor("iq4_xs", np.zeros((2, 136), dtype=np.uint8), raw_dtype=T.IQ4_XS)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
with gzip.GzipFile(here / "blocks.f32.gz", "wb", mtime=0) as f:
    f.write(np.concatenate(decoded).astype("<f4").tobytes())
