"""Drives an endpoint with the official OpenAI client for Python."""

import openai
from checks import ANSWER, MODEL, QUESTION, equal, run

CHAT = {"model": MODEL, "temperature": 0, "messages": [{"role": "user", "content": QUESTION}]}

client = openai.OpenAI(max_retries=0, timeout=120)


def refused(kind, status, code, param, call):
    """Checks that a call fails as a typed error."""
    try:
        call()
    except openai.APIStatusError as err:
        equal((type(err), err.status_code, err.code, err.param), (kind, status, code, param))
        assert err.request_id and err.body["message"], err.body
        return
    raise AssertionError("the call was not refused")


def chat():
    answer = client.chat.completions.create(**CHAT)
    choice = answer.choices[0]
    equal((choice.message.role, choice.message.content, choice.finish_reason), ("assistant", ANSWER, "stop"))
    equal((answer.object, answer.model), ("chat.completion", MODEL))
    assert answer.id.startswith("chatcmpl-") and answer.created > 0
    usage = answer.usage
    equal(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens)
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0 and usage.prompt_tokens_details.cached_tokens >= 0


def chat_streamed():
    text, reasons, ids = "", [], set()
    for i, chunk in enumerate(client.chat.completions.create(stream=True, **CHAT)):
        delta = chunk.choices[0].delta
        if i == 0:
            equal(delta.role, "assistant")
        text += delta.content or ""
        reasons.append(chunk.choices[0].finish_reason)
        ids.add(chunk.id)
    equal(text, ANSWER)
    equal(([r for r in reasons if r], reasons[-1], len(ids)), (["stop"], "stop", 1))


def usage_streamed():
    whole = client.chat.completions.create(**CHAT).usage
    chunks = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **CHAT))
    last = chunks.pop()
    equal((last.choices, [c.usage for c in chunks if c.usage]), ([], []))
    equal((last.usage.prompt_tokens, last.usage.completion_tokens), (whole.prompt_tokens, whole.completion_tokens))


def chat_helper():
    with client.chat.completions.stream(**CHAT) as stream:
        stream.until_done()
        equal(stream.get_final_completion().choices[0].message.content, ANSWER)


def several_choices():
    answer = client.chat.completions.create(n=2, **CHAT)
    equal([(c.index, c.message.content) for c in answer.choices], [(0, ANSWER), (1, ANSWER)])


def length_and_stop():
    answer = client.chat.completions.create(max_completion_tokens=1, **CHAT)
    equal((answer.choices[0].finish_reason, answer.usage.completion_tokens), ("length", 1))
    word = ANSWER.split()[-1]
    answer = client.chat.completions.create(stop=[word], **CHAT)
    equal((answer.choices[0].finish_reason, answer.choices[0].message.content), ("stop", ANSWER[: -len(word)]))


def logprobs():
    content = client.chat.completions.create(logprobs=True, top_logprobs=2, **CHAT).choices[0].logprobs.content
    equal(b"".join(bytes(t.bytes) for t in content)[: len(ANSWER.encode())], ANSWER.encode())
    assert all(t.logprob <= 0 and len(t.top_logprobs) == 2 for t in content), content


def completions():
    whole = client.completions.create(model=MODEL, prompt=["One", "Two"], max_tokens=4, temperature=0)
    equal((whole.object, [c.index for c in whole.choices]), ("text_completion", [0, 1]))
    text = ""
    for chunk in client.completions.create(model=MODEL, prompt="One", max_tokens=4, temperature=0, stream=True):
        text += chunk.choices[0].text
    equal(text, whole.choices[0].text)
    assert whole.id.startswith("cmpl-") and whole.usage.completion_tokens > 0


def embeddings():
    whole = client.embeddings.create(model=MODEL, input=[QUESTION, "x"])  # asks for base64
    equal([(e.index, e.object) for e in whole.data], [(0, "embedding"), (1, "embedding")])
    assert whole.usage.prompt_tokens == whole.usage.total_tokens > 0
    one = client.embeddings.create(model=MODEL, input=QUESTION, encoding_format="float").data[0].embedding
    assert max(abs(a - b) for a, b in zip(one, whole.data[0].embedding, strict=True)) < 1e-6
    short = client.embeddings.create(model=MODEL, input=QUESTION, dimensions=8).data[0].embedding
    equal(len(short), 8)
    assert abs(sum(x * x for x in short) - 1) < 1e-5
    refused(openai.BadRequestError, 400, "invalid_value", "dimensions",
            lambda: client.embeddings.create(model=MODEL, input="x", dimensions=len(one) + 1))


def seeded():
    sure = {"model": MODEL, "prompt": QUESTION, "max_tokens": 8, "seed": 42, "temperature": 1.5}
    more = {"min_p": 0.01, "typical_p": 0.95, "repetition_penalty": 1.1, "min_tokens": 2, "ignore_eos": True}
    one, two = (client.completions.create(**sure, extra_body=more).choices[0].text for _ in range(2))
    equal(one, two)


def scored_prompt():
    scored = client.completions.create(model=MODEL, prompt=QUESTION, max_tokens=1, echo=True, logprobs=1)
    text, logprobs = scored.choices[0].text, scored.choices[0].logprobs
    assert text.startswith(QUESTION), text
    equal(logprobs.token_logprobs[0], None)
    assert all(p <= 0 for p in logprobs.token_logprobs[1:])
    assert "".join(logprobs.tokens).startswith(text), logprobs.tokens  # the token that ended it is not text
    scored = [(o, t) for o, t in zip(logprobs.text_offset, logprobs.tokens, strict=True) if o < len(text)]
    equal([text[o:o + len(t)] for o, t in scored], [t for _, t in scored])


def best_of():
    best = client.completions.create(model=MODEL, prompt="One", max_tokens=4, n=2, best_of=4, seed=1)
    equal(len(best.choices), 2)
    assert best.usage.completion_tokens > 8


def models():
    listed = [m.id for m in client.models.list()]
    assert MODEL in listed, listed
    model = client.models.retrieve(MODEL)
    equal((model.id, model.object), (MODEL, "model"))


def bad_request():
    refused(openai.BadRequestError, 400, "invalid_value", "temperature",
            lambda: client.chat.completions.create(**(CHAT | {"temperature": -1})))


def context_exceeded():
    refused(openai.BadRequestError, 400, "context_length_exceeded", "messages",
            lambda: client.chat.completions.create(max_tokens=1 << 24, **CHAT))


def wrong_key():
    other = client.with_options(api_key="nf-wrong")
    refused(openai.AuthenticationError, 401, "invalid_api_key", None, lambda: other.models.list())


def unknown_model():
    refused(openai.NotFoundError, 404, "model_not_found", "model",
            lambda: client.chat.completions.create(**(CHAT | {"model": "no-such-model"})))
    refused(openai.NotFoundError, 404, "model_not_found", "model", lambda: client.models.retrieve("no-such-model"))


def not_served():
    refused(openai.BadRequestError, 400, "unsupported_value", "response_format",
            lambda: client.chat.completions.create(response_format={"type": "json_object"}, **CHAT))


def hang_up():
    with client.chat.completions.create(stream=True, **CHAT) as stream:
        next(iter(stream))
    equal(client.chat.completions.create(**CHAT).choices[0].message.content, ANSWER)


run("openai/python", (
    chat, chat_streamed, usage_streamed, chat_helper, several_choices, length_and_stop, logprobs, completions, embeddings, seeded,
    scored_prompt, best_of, models, bad_request, context_exceeded, wrong_key, unknown_model, not_served, hang_up))
