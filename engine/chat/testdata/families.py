"""Renders conversations with the templates of families/ by Jinja2, as goldens.

usage: families.py DIR

DIR holds families/*.jinja; families.json.gz is written there. Needs jinja2 alone: the
environment is set up as transformers sets its own up.
"""

import datetime
import gzip
import json
import pathlib
import sys

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from conversations import WEATHER, bot, calls, function, system, tool, user

NOW = datetime.datetime(2024, 7, 6, 9, 5, 3, 42)
SEARCH = function("search", "Looks things up", {"type": "object", "properties": {"q": {"type": "string"}}})
ASK = {"name": "get_weather", "arguments": {"city": "Zürich <b>", "days": 2}}
LOOK = {"name": "search", "arguments": {"q": "it's \"x\"", "lang": "de"}}

CONVERSATIONS = [
    {"name": "one", "messages": [user(" Hello! ")]},
    {"name": "system", "messages": [system(" Be kind. "), user("Hi"), bot("Hello."), user("Bye")]},
    {"name": "system later", "messages": [user("Hi"), bot("Hello."), system("Stop."), user("Bye")]},
    {"name": "open", "messages": [user("Hi"), bot("Hel")], "add_generation_prompt": False},
    {"name": "tools", "messages": [user("Weather?")], "tools": [WEATHER, SEARCH]},
    {"name": "tools and system", "messages": [system("S"), user(" Weather? ")], "tools": [WEATHER]},
    {"name": "tools in the system", "messages": [user("Weather?")], "tools": [WEATHER], "kwargs": {"tools_in_user_message": False}},
    {"name": "own tools", "messages": [user("Weather?")], "kwargs": {"custom_tools": [SEARCH]}},
    {"name": "no user", "messages": [system("S")], "tools": [SEARCH]},
    {"name": "no tools", "messages": [user("x")], "tools": []},
    {"name": "date", "messages": [user("x")], "kwargs": {"date_string": "2 Feb 2022"}},
    {"name": "call", "messages": [user("W?"), bot("", tool_calls=calls(ASK)), tool('{"t": 3}'), bot("Cold.")], "tools": [WEATHER]},
    {"name": "call with text", "messages": [user("W?"), bot("Let me see.", tool_calls=calls(ASK)), tool("3 °C")]},
    {"name": "bare call", "messages": [user("W?"), bot("x", tool_calls=[ASK]), tool("3")]},
    {"name": "two calls", "messages": [user("W?"), bot("x", tool_calls=calls(ASK, LOOK)), tool("3"), tool("y"), bot("Done.")]},
    {"name": "builtin", "messages": [user("W?"), bot("", tool_calls=calls(LOOK)), tool("y")], "kwargs": {"builtin_tools": ["search", "code_interpreter"]}},
    {"name": "builtin is another", "messages": [user("W?"), bot("", tool_calls=calls(ASK))], "kwargs": {"builtin_tools": ["search"]}},
    {"name": "result is a list", "messages": [user("W?"), {"role": "ipython", "content": [1, "ü", {"a": True}]}]},
    {"name": "result is an object", "messages": [user("W?"), {"role": "ipython", "content": {"b": 1, "a": 2.5}}]},
    {"name": "result is a number", "messages": [user("W?"), {"role": "ipython", "content": 3}]},
    {"name": "no calls", "messages": [user("W?"), bot("x", tool_calls=[]), user("y")]},
    {"name": "tool first", "messages": [tool("3"), user("y")]},
    {"name": "without a role", "messages": [{"content": "x"}]},
    {"name": "without content", "messages": [{"role": "user"}]},
]


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals.update(raise_exception=raise_exception, strftime_now=NOW.strftime)
    return env


def outcome(template, case):
    variables = {"messages": case["messages"], "tools": case.get("tools"), "documents": None, "bos_token": "<BOS>", **case.get("kwargs", {})}
    try:
        return {"text": template.render(add_generation_prompt=case.get("add_generation_prompt", True), **variables)}
    except Exception as e:
        return {"class": type(e).__name__, "message": str(e)}


def main(folder):
    env, cases = environment(), []
    templates = {p.name.removesuffix(".jinja"): env.from_string(p.read_text()) for p in sorted((folder / "families").glob("*.jinja"))}
    for case in CONVERSATIONS:
        want = {name: outcome(template, case) for name, template in templates.items()}
        cases.append({"add_generation_prompt": True, **case, "want": want})
    with gzip.GzipFile(folder / "families.json.gz", "wb", mtime=0) as f:
        f.write(json.dumps(cases, ensure_ascii=False, indent=0).encode())
    print(len(cases), "cases")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
