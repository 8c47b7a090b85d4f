// Drives an endpoint with the official OpenAI client for Node.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { answer, model, question, run } from "./checks.mjs";

const client = new OpenAI({ maxRetries: 0, timeout: 120_000 });
const chat = { model, temperature: 0, messages: [{ role: "user", content: question }] };

// refused checks that a call fails as a typed error.
async function refused(kind, status, code, param, call) {
  await assert.rejects(call, (err) => {
    assert.ok(err instanceof kind, `${err.constructor.name}: ${err.message}`);
    assert.deepEqual([err.status, err.code, err.param], [status, code, param]);
    assert.ok(err.requestID && err.error.message);
    return true;
  });
}

const checks = {
  async chat() {
    const whole = await client.chat.completions.create(chat);
    const [choice] = whole.choices;
    assert.deepEqual([choice.message.role, choice.message.content, choice.finish_reason], ["assistant", answer, "stop"]);
    assert.deepEqual([whole.object, whole.model], ["chat.completion", model]);
    assert.match(whole.id, /^chatcmpl-/);
    assert.equal(whole.usage.prompt_tokens + whole.usage.completion_tokens, whole.usage.total_tokens);
    assert.ok(whole.usage.completion_tokens > 0 && whole.usage.prompt_tokens_details.cached_tokens >= 0);
  },

  async chatStreamed() {
    let text = "";
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
      chunks.push(chunk);
      text += chunk.choices[0].delta.content ?? "";
    }
    assert.equal(text, answer);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.deepEqual(chunks.map((c) => c.choices[0].finish_reason).filter(Boolean), ["stop"]);
    assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
  },

  async usageStreamed() {
    const whole = await client.chat.completions.create(chat);
    const chunks = [];
    const options = { include_usage: true };
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true, stream_options: options })) {
      chunks.push(chunk);
    }
    const last = chunks.pop();
    assert.deepEqual([last.choices, chunks.filter((c) => c.usage)], [[], []]);
    assert.equal(last.usage.prompt_tokens, whole.usage.prompt_tokens);
    assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
  },

  async chatHelper() {
    assert.equal(await client.chat.completions.stream(chat).finalContent(), answer);
  },

  async severalChoices() {
    const whole = await client.chat.completions.create({ ...chat, n: 2 });
    assert.deepEqual(whole.choices.map((c) => [c.index, c.message.content]), [[0, answer], [1, answer]]);
  },

  async lengthAndStop() {
    const short = await client.chat.completions.create({ ...chat, max_completion_tokens: 1 });
    assert.deepEqual([short.choices[0].finish_reason, short.usage.completion_tokens], ["length", 1]);
    const word = answer.split(" ").at(-1);
    const stopped = await client.chat.completions.create({ ...chat, stop: [word] });
    assert.deepEqual([stopped.choices[0].finish_reason, stopped.choices[0].message.content], ["stop", answer.slice(0, -word.length)]);
  },

  async completions() {
    const options = { model, max_tokens: 4, temperature: 0 };
    const whole = await client.completions.create({ ...options, prompt: ["One", "Two"] });
    assert.deepEqual([whole.object, whole.choices.map((c) => c.index)], ["text_completion", [0, 1]]);
    let text = "";
    for await (const chunk of await client.completions.create({ ...options, prompt: "One", stream: true })) {
      text += chunk.choices[0].text;
    }
    assert.equal(text, whole.choices[0].text);
    assert.match(whole.id, /^cmpl-/);
  },

  async embeddings() {
    const whole = await client.embeddings.create({ model, input: [question, "x"] });
    assert.deepEqual(whole.data.map((e) => e.index), [0, 1]);
    assert.ok(whole.usage.prompt_tokens > 0);
    const [{ embedding }] = (await client.embeddings.create({ model, input: question, dimensions: 8 })).data;
    assert.equal(embedding.length, 8);
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  },

  async models() {
    const listed = [];
    for await (const m of client.models.list()) listed.push(m.id);
    assert.ok(listed.includes(model), String(listed));
    const one = await client.models.retrieve(model);
    assert.deepEqual([one.id, one.object], [model, "model"]);
  },

  async badRequest() {
    await refused(OpenAI.BadRequestError, 400, "invalid_value", "temperature",
      () => client.chat.completions.create({ ...chat, temperature: -1 }));
  },

  async contextExceeded() {
    await refused(OpenAI.BadRequestError, 400, "context_length_exceeded", "messages",
      () => client.chat.completions.create({ ...chat, max_tokens: 1 << 24 }));
  },

  async wrongKey() {
    const other = client.withOptions({ apiKey: "nf-wrong" });
    await refused(OpenAI.AuthenticationError, 401, "invalid_api_key", null, () => other.models.list());
  },

  async unknownModel() {
    await refused(OpenAI.NotFoundError, 404, "model_not_found", "model",
      () => client.chat.completions.create({ ...chat, model: "no-such-model" }));
    await refused(OpenAI.NotFoundError, 404, "model_not_found", "model", () => client.models.retrieve("no-such-model"));
  },

  async notServed() {
    await refused(OpenAI.BadRequestError, 400, "unsupported_value", "response_format",
      () => client.chat.completions.create({ ...chat, response_format: { type: "json_object" } }));
  },

  async hangUp() {
    const stream = await client.chat.completions.create({ ...chat, stream: true });
    for await (const _ of stream) break;
    const whole = await client.chat.completions.create(chat);
    assert.equal(whole.choices[0].message.content, answer);
  },
};

await run("openai/node", checks);
