#!/usr/bin/env bash
# ai 5.0.277 (@ai-sdk/openai-compatible 1.0.61): the outer span of `generateText` tells the tokens of its last step, that
# of `streamText` those of all steps; each of the two names them in its own way (`ai.usage.promptTokens`,
# `ai.usage.inputTokens`). The same tool call is in `ai.response.toolCalls` with its input as JSON text by the one, and as
# an object by the other.
# docs/opentelemetry.md says so; Recollect counts the steps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund ai@5.0.277 @ai-sdk/openai-compatible@1.0.61 \
    @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-base@2.12.1 zod@4.6.7
cat > told.js <<'NODE'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const call = { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"city":"Oslo"}' } };
const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

// Calls a tool, then answers; streams what it is asked to stream.
const server = createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  const asked = JSON.parse(text);
  const first = asked.messages.at(-1).role === "user";
  const message = { role: "assistant", ...(first ? { tool_calls: [{ index: 0, ...call }] } : { content: "Sunny." }) };
  const finish_reason = first ? "tool_calls" : "stop";
  if (asked.stream) {
    const chunk = (choice, more) =>
      `data: ${JSON.stringify({ id: "c", created: 1, model: "small-1", choices: [{ index: 0, ...choice }], ...more })}\n\n`;
    response.setHeader("content-type", "text/event-stream");
    response.end(`${chunk({ delta: message })}${chunk({ delta: {}, finish_reason }, { usage })}data: [DONE]\n\n`);
  } else {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ id: "c", created: 1, model: "small-1", choices: [{ index: 0, message, finish_reason }], usage }));
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const spans = new InMemorySpanExporter();
const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer("t");
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const options = {
  model: createOpenAICompatible({ name: "local", baseURL, apiKey: "none", includeUsage: true })("small-1"),
  prompt: "How is the weather?",
  stopWhen: stepCountIs(3),
  tools: { get_weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "sunny" }) },
  experimental_telemetry: { isEnabled: true, tracer },
};

// The usage on the outer span, on each step, and the input of the tool call.
function told(outer, inner) {
  const all = spans.getFinishedSpans().map(({ name, attributes }) => ({ name, attributes }));
  spans.reset();
  const of = (span) => Object.fromEntries(Object.entries(span.attributes).filter(([name]) => name.startsWith("ai.usage.")));
  const steps = all.filter((span) => span.name === inner);
  const calls = JSON.parse(steps.find((span) => span.attributes["ai.response.toolCalls"]).attributes["ai.response.toolCalls"]);
  return { outer: of(all.find((span) => span.name === outer)), steps: steps.map(of), input: calls[0].input };
}

await generateText(options);
const generated = told("ai.generateText", "ai.generateText.doGenerate");
const stream = streamText(options);
await stream.consumeStream();
await stream.totalUsage;
const streamed = told("ai.streamText", "ai.streamText.doStream");
server.close();
console.log("generateText:", JSON.stringify(generated));
console.log("streamText:", JSON.stringify(streamed));
const [few, many] = [{ "ai.usage.promptTokens": 10, "ai.usage.completionTokens": 5 },
  { "ai.usage.inputTokens": 10, "ai.usage.outputTokens": 5, "ai.usage.totalTokens": 15 }];
assert.deepEqual(generated.steps, [few, few]);
assert.deepEqual(generated.outer, few);
assert.deepEqual(streamed.steps, [many, many]);
assert.deepEqual(streamed.outer, { "ai.usage.inputTokens": 20, "ai.usage.outputTokens": 10, "ai.usage.totalTokens": 30 });
assert.equal(generated.input, '{"city":"Oslo"}');
assert.deepEqual(streamed.input, { city: "Oslo" });
NODE
node told.js
echo "As described."
