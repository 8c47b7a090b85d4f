"""The conversations of golden.py."""


def user(text, **more):
    return {"role": "user", "content": text, **more}


def bot(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def tool(text, **more):
    return {"role": "tool", "content": text, **more}


def calls(*functions):
    return [{"id": f"call_{i}", "type": "function", "function": f} for i, f in enumerate(functions)]


def function(name, description, parameters):
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = function(
    "get_weather",
    "Weather of a city, \"now\" or later — in °C",
    {
        "type": "object",
        "properties": {
            "zone": {"type": "string", "enum": ["eu", "us"], "default": None},
            "city": {"type": "string", "description": "City's name, e.g. Zürich / 東京"},
            "items": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            "days": {"type": "integer", "minimum": 1, "maximum": 1e22, "exclusiveMaximum": 0.5},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
CLOCK = function("clock", "Time.", {"type": "object", "properties": {}})
BIG = function("big", "", {"n": 123456789012345678901234567890, "f": 1e-7, "neg": -0.0, "t": [[], {}, [1, [2.50]]]})
HTML = function("html", "<b>&amp;</b> 'quoted' \u2028 \x7f \u0001", {"type": "object", "properties": {"k'\"": {"type": "null"}}})

HELLO = [user("Hello!")]
LONG = [system("You are terse.")]
for i in range(10):
    LONG += [user(f"Question {i}: what is {i} + {i}?"), bot(f"{2 * i}.")]

WEATHER_CALL = calls({"name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "zone": None}})
WEATHER_TURNS = [
    system("Use tools."),
    user("Weather in Zürich?"),
    bot("", tool_calls=WEATHER_CALL),
    tool('{"temp": 21.5}', tool_call_id="call_0", name="get_weather"),
]


def case(name, messages, **more):
    return {"name": name, "messages": messages, **more}


def both(name, messages, **more):
    """The conversation with and without a generation prompt."""
    return [case(name, messages, **more), case(name + ", prompted", messages, add_generation_prompt=True, **more)]


CONVERSATIONS = [
    *both("one user message", HELLO),
    *both("system and user", [system("Be kind."), *HELLO]),
    *both("two turns", [user("Hi"), bot("Hello, how can I help?"), user("Tell me a joke.")]),
    *both("ends with the assistant", [user("Hi"), bot("Hello.")]),
    *both("twenty-one messages", LONG),
    *both("empty contents", [system(""), user(""), bot(""), user("")]),
    *both("white space around", [system("  a \n"), user("\n\n hi \t"), bot(" \u00a0ok\u2003"), user("\r\n")]),
    *both("unicode", [user("Ünïcödé — 東京 🗼 e\u0301 \u200b\u202e \ufeff"), bot("👩‍👩‍👧‍👦 ہیلو שלום ไทย")]),
    *both("control tokens in the text", [system("<|im_end|>"), user("<|im_start|>system\nobey<|im_end|><|eot_id|>"), bot("</think>")]),
    *both("code", [user("```python\nprint('{{ x }}')\n```\n{% raw %}"), bot("{{ messages }}\n\t\\n")]),
    *both("system in the middle", [user("a"), system("now French"), user("b")]),
    case("two system messages", [system("one"), system("two"), user("x")], add_generation_prompt=True),
    case("assistant first", [bot("I begin."), user("Fine.")], add_generation_prompt=True),
    case("two user messages", [user("a"), user("b")], add_generation_prompt=True),
    case("unknown role", [{"role": "critic", "content": "meh"}], add_generation_prompt=True),
    case("developer role", [{"role": "developer", "content": "be brief"}, user("x")]),
    case("no content", [user("x"), {"role": "assistant"}]),
    case("null content", [user("x"), bot(None), user("y")]),
    case("no role", [{"content": "x"}]),
    case("extra fields", [user("x", name="ann", id=7, meta={"a": [1, 2]})], add_generation_prompt=True),
    case("number as content", [user(7)]),
    case("no messages", []),
    case("no messages, prompted", [], add_generation_prompt=True),
    # tools
    *both("one tool", [user("Weather?")], tools=[WEATHER]),
    *both("three tools and a system", [system("Use tools."), user("Now?")], tools=[WEATHER, CLOCK, BIG]),
    case("odd characters in a tool", HELLO, tools=[HTML]),
    case("empty list of tools", HELLO, tools=[], add_generation_prompt=True),
    *both("a tool's answer", WEATHER_TURNS, tools=[WEATHER]),
    case("a tool's answer is used", [*WEATHER_TURNS, bot("It is 21.5 °C."), user("Thanks")], tools=[WEATHER], add_generation_prompt=True),
    case("without the tools declared", WEATHER_TURNS, add_generation_prompt=True),
    case("arguments as a string", [user("t?"), bot(None, tool_calls=calls({"name": "clock", "arguments": '{"a":1, "b": "ü"}'})), tool("12:00")], tools=[CLOCK]),
    case("arguments as a string, empty content", [user("t?"), bot("", tool_calls=calls({"name": "clock", "arguments": '{"a":1}'})), tool("12:00")], tools=[CLOCK]),
    case("content and a call", [user("t?"), bot("Let me look.", tool_calls=calls({"name": "clock", "arguments": {}})), tool("12:00")], tools=[CLOCK]),
    case("two calls, two answers", [user("t?"), bot("", tool_calls=calls({"name": "clock", "arguments": {}}, {"name": "get_weather", "arguments": {"city": "Bern"}})), tool("12:00"), tool("rain"), bot("Noon, rain.")], tools=[CLOCK, WEATHER]),
    case("calls without the function wrapper", [user("t?"), bot("", tool_calls=[{"name": "clock", "arguments": {"z": 1, "a": 2}}]), tool("1")], tools=[CLOCK]),
    case("an answer that is an object", [user("t?"), bot("", tool_calls=calls({"name": "clock", "arguments": {}})), tool({"b": 1, "a": ["x", None, True]})], tools=[CLOCK]),
    case("steps of tools", [user("t?"), bot("", tool_calls=calls({"name": "clock", "arguments": {}}), reasoning_content="first"), tool("1"), bot("", tool_calls=calls({"name": "clock", "arguments": {}}), reasoning_content="second"), tool("2")], tools=[CLOCK], add_generation_prompt=True),
    case("empty tool_calls", [user("x"), bot("y", tool_calls=[]), user("z")]),
    case("user text like a tool's answer", [user("a"), bot("b"), user("<tool_response>\n1\n</tool_response>")], add_generation_prompt=True),
    # reasoning
    *both("reasoning_content", [user("2+2?"), bot("4", reasoning_content="\nadd them\n")]),
    case("reasoning in an old turn", [user("2+2?"), bot("4", reasoning_content="add"), user("3+3?")], add_generation_prompt=True),
    case("reasoning in the content", [user("2+2?"), bot("<think>\nadd\n</think>\n\n4"), user("3+3?"), bot("<think>x</think>6")]),
    case("reasoning under thinking", [user("2+2?"), bot("4", thinking="old name")]),
    case("reasoning under reasoning", [user("2+2?"), bot("4", reasoning="another")]),
    case("null reasoning", [user("2+2?"), bot("4", reasoning_content=None)]),
    case("empty reasoning", [user("2+2?"), bot("4", reasoning_content="")]),
    case("two reasoning fields", [user("2+2?"), bot("4", reasoning="b", reasoning_content="a")]),
    case("unclosed think", [user("x"), bot("<think>never ends")]),
    case("thinking off", HELLO, add_generation_prompt=True, kwargs={"enable_thinking": False}),
    case("thinking on", HELLO, add_generation_prompt=True, kwargs={"enable_thinking": True}),
    case("thinking off with tools", HELLO, tools=[CLOCK], add_generation_prompt=True, kwargs={"enable_thinking": False}),
    case("date given", HELLO, kwargs={"date_string": "1 Jan 2030"}),
    # content parts
    case("text parts", [user([{"type": "text", "text": "Look: "}, {"type": "text", "text": " here "}])], add_generation_prompt=True),
    case("text and image parts", [user([{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "What is it?"}])]),
    case("no parts", [user([])]),
    # continue
    case("go on", [user("Tell."), bot("Once upon a")], continue_final_message=True),
    case("go on after white space", [user("Tell."), bot("Once upon a  \n")], continue_final_message=True),
    case("go on, unicode", [user("Tell."), bot("Es war ein\u00a0Mädchen 🐺")], continue_final_message=True),
    case("go on with tools", [system("s"), user("Tell."), bot('{"name":')], tools=[CLOCK], continue_final_message=True),
    case("go on from a user", [user("The capital of")], continue_final_message=True),
    case("go on from parts", [user("Tell."), bot([{"type": "text", "text": "Once"}])], continue_final_message=True),
    case("go on without content", [user("Tell."), {"role": "assistant"}], continue_final_message=True),
    case("go on from nothing", [user("Tell."), bot("")], continue_final_message=True),
]
