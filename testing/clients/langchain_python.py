"""Drives an endpoint with LangChain's classes for OpenAI."""

import asyncio
import math

import openai
from checks import ANSWER, MODEL, QUESTION, equal, run
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

SURE = {"model": MODEL, "temperature": 0, "max_retries": 0}

chat_model = ChatOpenAI(**SURE)
text_model = OpenAI(**SURE, max_tokens=4)


def invoke():
    answer = chat_model.invoke(QUESTION)
    equal((answer.content, answer.response_metadata["finish_reason"]), (ANSWER, "stop"))
    equal(answer.usage_metadata["input_tokens"] + answer.usage_metadata["output_tokens"], answer.usage_metadata["total_tokens"])


def stream():
    whole = None
    for chunk in ChatOpenAI(**SURE, stream_usage=True).stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    equal(whole.content, ANSWER)
    assert whole.usage_metadata["output_tokens"] > 0, whole


def conversation():
    answer = chat_model.invoke([HumanMessage("Hello."), AIMessage("Hello."), HumanMessage(QUESTION)])
    assert answer.content, answer


def batch():
    equal([a.content for a in chat_model.batch([QUESTION, QUESTION])], [ANSWER, ANSWER])


def concurrent():
    async def ask():
        return await asyncio.gather(*[chat_model.ainvoke(QUESTION) for _ in range(4)])
    equal({a.content for a in asyncio.run(ask())}, {ANSWER})


def stop():
    word = ANSWER.split(" ")[-1]
    equal(chat_model.invoke(QUESTION, stop=[word]).content, ANSWER[:-len(word)])


def logprobs():
    answer = chat_model.bind(logprobs=True, top_logprobs=2).invoke(QUESTION)
    tokens = answer.response_metadata["logprobs"]["content"]
    equal("".join(t["token"] for t in tokens[:3]), ANSWER[:sum(len(t["token"]) for t in tokens[:3])])


def completion():
    whole = text_model.invoke("One")
    equal("".join(text_model.stream("One")), whole)
    results = OpenAI(**SURE, max_tokens=2, n=2, best_of=2).generate(["One", "Two"])
    equal([len(g) for g in results.generations], [2, 2])


def embeddings():
    # Texts are sent as they are: LangChain would count tokens with OpenAI's vocabulary.
    model = OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False, max_retries=0)
    one, two = model.embed_documents([QUESTION, "Something else."])
    equal(model.embed_query(QUESTION), one)
    assert one != two
    assert abs(math.hypot(*one) - 1) < 1e-5, math.hypot(*one)


def refusal():
    try:
        chat_model.invoke(QUESTION, max_tokens=1 << 24)
    except openai.BadRequestError as err:
        equal(err.code, "context_length_exceeded")
        return
    raise AssertionError("the call was not refused")


run("langchain", (invoke, stream, conversation, batch, concurrent, stop, logprobs, completion, embeddings, refusal))
