"""Renders conversations and single constructs with transformers, as goldens.

usage: golden.py DIR

DIR holds templates/*.jinja; conversations.json.gz and constructs.json.gz are
written there. Needs transformers and jinja2. Dates are those of one fixed
moment.
"""

import datetime
import gzip
import json
import logging
import pathlib
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import _compile_jinja_template

from constructs import CONSTRUCTS
from conversations import CONVERSATIONS

NOW = datetime.datetime(2024, 7, 6, 9, 5, 3, 42)


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


TOKENS = {
    "smollm2": ("<|im_start|>", "<|im_end|>"),
    "qwen3": (None, "<|im_end|>"),
    "llama3": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama2": ("<s>", "</s>"),
    "mistral": ("<s>", "</s>"),
    "zephyr": ("<s>", "</s>"),
    "gemma": ("<bos>", "<end_of_turn>"),
    "distill": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
}


def outcome(render):
    """The text, or the exception's class and message."""
    try:
        return {"text": render()}
    except RecursionError:
        raise
    except Exception as e:
        return {"class": type(e).__name__, "message": str(e)}


def conversation(case, templates):
    wants = {}
    for name, source in templates.items():
        bos, eos = TOKENS[name]
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.WordLevel({"a": 0})), bos_token=bos, eos_token=eos
        )
        wants[name] = outcome(
            lambda: tokenizer.apply_chat_template(
                case["messages"],
                tools=case.get("tools"),
                chat_template=source,
                tokenize=False,
                add_generation_prompt=case.get("add_generation_prompt", False),
                continue_final_message=case.get("continue_final_message", False),
                **case.get("kwargs", {}),
            )
        )
    return {**case, "want": wants}


def construct(case):
    source, variables = case if isinstance(case, tuple) else (case, {})
    want = outcome(lambda: _compile_jinja_template(source).render(**variables))
    return {"template": source, "vars": variables, "want": want}


def write(path, cases):
    with gzip.GzipFile(path, "wb", mtime=0) as f:
        f.write(json.dumps(cases, ensure_ascii=False, indent=0).encode())
    print(path.name, len(cases), "cases", path.stat().st_size, "bytes")


def main(folder):
    logging.disable(logging.WARNING)
    chat_template_utils.datetime = FixedTime
    templates = {p.stem: p.read_text() for p in sorted((folder / "templates").glob("*.jinja"))}
    write(folder / "conversations.json.gz", [conversation(c, templates) for c in CONVERSATIONS])
    write(folder / "constructs.json.gz", [construct(c) for c in CONSTRUCTS])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
