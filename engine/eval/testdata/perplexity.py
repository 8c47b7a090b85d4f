"""Writes perplexity.json beside this script: what llama.cpp makes of text.txt.

  python perplexity.py MODEL.gguf
  python perplexity.py MODEL.gguf WIDE.gguf    writes the model with its matrices in BF16 instead: to see what
                                               quantising them at load costs, where no plainer file is at hand

Windows are those of the package: WINDOW tokens that overlap by half, each token scored in the first that holds
it. Logprobs are computed here, in float64, from llama.cpp's logits of every position. The file's weights are
decoded to float32 first: with quantised ones llama.cpp rounds activations
to 8 bits, which moves this perplexity by 0.4 %. It keeps KV in float32 too.
Needs: gguf, llama-cpp-python, numpy.
"""
import hashlib
import tempfile
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import Llama

here = Path(__file__).parent
WINDOW = 256


def widen(path, to, kind):
    """The same model with matrices of a plainer type, and vectors in float32."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(to, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=field.types[-1] if len(field.types) > 1 else None)
    for t in reader.tensors:
        x = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(list(reversed(t.shape)))
        store = kind if x.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(t.name, gguf.quants.quantize(x, store), raw_dtype=store)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(path):
    with tempfile.TemporaryDirectory() as at:
        widen(path, f"{at}/model.gguf", gguf.GGMLQuantizationType.F32)
        model = Llama(f"{at}/model.gguf", n_ctx=WINDOW, n_batch=WINDOW, logits_all=True, verbose=False, n_threads=2, type_k=0, type_v=0,
                      flash_attn=False)
        measure(model, path)


def measure(model, path):
    text = (here / "text.txt").read_bytes()
    ids = model.tokenize(text, add_bos=True, special=False)
    nll, scored, start, first = 0.0, 0, 0, 1
    while first < len(ids):
        end = min(start + WINDOW, len(ids))
        model.reset()
        model.eval(ids[start:end])
        logits = np.array(model.scores[: end - start], dtype=np.float64)
        logprobs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True)) - logits.max(-1, keepdims=True)
        for at in range(first, end):
            nll -= logprobs[at - start - 1, ids[at]]
        scored, first, start = scored + end - first, end, start + WINDOW // 2
    out = dict(model=Path(path).name, text_sha256=hashlib.sha256(text).hexdigest(), window=WINDOW, tokens=scored, nll=nll,
               perplexity=float(np.exp(nll / scored)), first_ids=[int(i) for i in ids[:8]])
    (here / "perplexity.json").write_text(json.dumps(out, indent=1) + "\n")
    print(out)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        widen(sys.argv[1], sys.argv[2], gguf.GGMLQuantizationType.BF16)
    else:
        main(sys.argv[1])
