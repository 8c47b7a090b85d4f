"""Downloads from a Hub with the official client and says what it got, as JSON.

    HF_ENDPOINT=http://127.0.0.1:PORT python client.py CACHE TOKEN
"""
import hashlib
import json
import os
import sys

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

cache, token = sys.argv[1:]


def digests(path):
    out = {}
    for root, _, files in os.walk(path):
        for name in files:
            with open(os.path.join(root, name), "rb") as f:
                out[os.path.relpath(os.path.join(root, name), path)] = hashlib.sha256(f.read()).hexdigest()
    return out


def raised(call):
    try:
        call()
    except Exception as e:
        return type(e).__name__, isinstance(e, (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError))
    return None


info = HfApi().model_info("org/open", revision="main", files_metadata=True)
print(json.dumps({
    "sha": info.sha,
    "license": info.card_data.license,
    "siblings": {s.rfilename: [s.size, s.blob_id, s.lfs.sha256 if s.lfs else None] for s in info.siblings},
    "snapshot": digests(snapshot_download("org/open", revision="refs/pr/1", cache_dir=cache, token=False)),
    "gated with token": digests(snapshot_download("org/gated", cache_dir=cache + "/allowed", token=token)),
    "gated": raised(lambda: hf_hub_download("org/gated", "model.safetensors", cache_dir=cache, token=False)),
    "gated other token": raised(lambda: hf_hub_download("org/gated", "model.safetensors", cache_dir=cache, token="hf_other")),
    "private": raised(lambda: HfApi().model_info("org/private", token=False)),
    "revision": raised(lambda: HfApi().model_info("org/open", revision="nowhere")),
    "entry": raised(lambda: hf_hub_download("org/open", "nothing.json", cache_dir=cache)),
}))
assert issubclass(GatedRepoError, RepositoryNotFoundError)
