"""Splits a GGUF file into parts with the gguf package.

  python split.py IN.gguf OUT_DIR TENSORS_A_PART

split/ beside this script is testing/golden/testdata/architectures/llama_linear/llama_linear.gguf
with 8 tensors a part. Needs: gguf.
"""
import sys
from pathlib import Path

import gguf

source, out, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
out.mkdir(exist_ok=True)
reader = gguf.GGUFReader(source)
arch = reader.fields["general.architecture"].contents()
writer = gguf.GGUFWriter(out / source.name, arch, split_max_tensors=most)
for key, field in reader.fields.items():
    if key.startswith("GGUF.") or key == "general.architecture":
        continue
    kind = field.types[0]
    inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(key, field.contents(), kind, sub_type=inner)
for t in reader.tensors:
    writer.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
