// Drives an endpoint with Vercel's AI SDK: through its provider for OpenAI, asked
// for chat completions, and through the one for servers that speak OpenAI's protocol.

import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embed, embedMany, generateText, streamText } from "ai";
import { answer, apiKey, baseURL, model, question, run } from "./checks.mjs";

const official = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({ name: "nanofleet", baseURL, apiKey, includeUsage: true });
const options = { prompt: question, temperature: 0, maxRetries: 0 };

// both runs a check with the language model of either provider.
const both = (check) => async () => {
  await check(official.chat(model));
  await check(compatible.chatModel(model));
};

const checks = {
  generate: both(async (chat) => {
    const whole = await generateText({ model: chat, ...options });
    assert.deepEqual([whole.text, whole.finishReason], [answer, "stop"]);
    assert.equal(whole.usage.inputTokens + whole.usage.outputTokens, whole.usage.totalTokens);
    assert.ok(whole.usage.outputTokens > 0);
  }),

  stream: both(async (chat) => {
    const stream = streamText({ model: chat, ...options });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.deepEqual([text, await stream.finishReason], [answer, "stop"]);
    assert.ok((await stream.usage).outputTokens > 0);
  }),

  conversation: both(async (chat) => {
    const messages = [
      { role: "user", content: [{ type: "text", text: "Hello." }] },
      { role: "assistant", content: "Hello." },
      { role: "user", content: question },
    ];
    const { text } = await generateText({ model: chat, ...options, prompt: undefined, messages, seed: 7 });
    assert.ok(text.length > 0);
  }),

  limits: both(async (chat) => {
    const short = await generateText({ model: chat, ...options, maxOutputTokens: 1 });
    assert.deepEqual([short.finishReason, short.usage.outputTokens], ["length", 1]);
    const word = answer.split(" ").at(-1);
    const stopped = await generateText({ model: chat, ...options, stopSequences: [word] });
    assert.deepEqual([stopped.finishReason, stopped.text.trimEnd()], ["stop", answer.slice(0, -word.length).trimEnd()]);
  }),

  async completion() {
    for (const text of [official.completion(model), compatible.completionModel(model)]) {
      const whole = await generateText({ model: text, ...options, maxOutputTokens: 4 });
      assert.equal(whole.usage.outputTokens <= 4, true);
    }
  },

  async embeddings() {
    for (const vectors of [official.embedding(model), compatible.embeddingModel(model)]) {
      const one = await embed({ model: vectors, value: question, maxRetries: 0 });
      const many = await embedMany({ model: vectors, values: [question, "Something else."], maxRetries: 0 });
      assert.deepEqual(many.embeddings[0], one.embedding);
      assert.notDeepEqual(many.embeddings[1], one.embedding);
      assert.ok(Math.abs(Math.hypot(...one.embedding) - 1) < 1e-5);
    }
  },

  refusal: both(async (chat) => {
    await assert.rejects(generateText({ model: chat, ...options, maxOutputTokens: 1 << 24 }), (err) => {
      assert.ok(APICallError.isInstance(err), err.stack);
      assert.deepEqual([err.statusCode, err.isRetryable], [400, false]);
      assert.match(err.message, /maximum context length/);
      return true;
    });
  }),

  abort: both(async (chat) => {
    const controller = new AbortController();
    const stream = streamText({ model: chat, ...options, abortSignal: controller.signal, onError() {} });
    for await (const part of stream.fullStream) if (part.type === "text-delta") controller.abort();
    assert.equal((await generateText({ model: chat, ...options })).text, answer);
  }),
};

await run("vercel", checks);
