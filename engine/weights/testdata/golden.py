"""Writes the golden files of engine/weights beside this script.

  python golden.py

types.gguf          a tensor of each type made from the same values, and one of zeros in Q4_K
types.safetensors   F32, F16 and BF16
types.f32.gz        their weights as the gguf package and numpy decode them: float32,
                    little-endian, in the order of NAMES
Needs: gguf, numpy, safetensors, torch.
"""
import gzip
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from safetensors.torch import save_file

here = Path(__file__).parent
rng = np.random.default_rng(7)
ROWS, COLS = 4, 96
NAMES = [T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1]


def half_edges():
    """Every class of binary16: zeros, subnormals, normals, infinities."""
    bits = rng.integers(0, 0x7C00, ROWS * COLS, dtype=np.uint16)
    bits[:8] = [0, 0x8000, 1, 0x3FF, 0x8001, 0x400, 0x7BFF, 0x7C00]
    return (bits | rng.integers(0, 2, bits.size, dtype=np.uint16) << 15).view(np.float16).reshape(ROWS, COLS)


values = rng.standard_normal((ROWS, COLS)).astype(np.float32)
writer = gguf.GGUFWriter(here / "types.gguf", "test")
writer.add_array("test.array.u8", [1, 2, 255])
for name, kind, value in [
    ("u8", "uint8", 200), ("i8", "int8", -100), ("u16", "uint16", 60000), ("i16", "int16", -30000),
    ("u32", "uint32", 4000000000), ("i32", "int32", -2000000000), ("f32", "float32", 0.5),
    ("u64", "uint64", 1 << 63), ("i64", "int64", -(1 << 62)), ("f64", "float64", 0.1),
    ("bool", "bool", True), ("string", "string", "naïve"),
]:
    getattr(writer, f"add_{kind}")(f"test.{name}", value)
writer.add_array("test.array.string", ["a", "", "ç"])
writer.add_array("test.array.i32", [-1, 0, 7])
writer.add_array("test.array.f32", [0.25, -1.0])
decoded = []
for kind in NAMES:
    if kind == T.F16:
        raw = half_edges()
    else:
        raw = gguf.quants.quantize(values, kind)
    writer.add_tensor(f"{kind.name.lower()}.weight", raw, raw_dtype=kind)
    decoded.append(gguf.quants.dequantize(raw, kind).astype(np.float32))
writer.add_tensor("q4_k.weight", np.zeros((2, 144), dtype=np.uint8), raw_dtype=T.Q4_K)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

tensors = {
    "f32": torch.from_numpy(values),
    "f16": torch.from_numpy(values).half(),
    "bf16": torch.from_numpy(values).bfloat16(),
    "ids": torch.arange(6),
}
save_file(tensors, here / "types.safetensors", metadata={"format": "pt"})
decoded += [tensors[n].float().numpy() for n in ("f32", "f16", "bf16")]
with gzip.GzipFile(here / "types.f32.gz", "wb", mtime=0) as f:
    f.write(np.concatenate([d.reshape(-1) for d in decoded]).astype("<f4").tobytes())
