#!/usr/bin/env bash
# @mastra/otel-exporter 1.4.0 (@mastra/core 1.71.0): the span of a model call, `chat ...`, tells of an answer that calls
# tools only its text, in `gen_ai.output.messages`: the call is gone, though `gen_ai.response.finish_reasons` says
# `tool-calls`. An answer that calls a tool and says nothing is told as one with an empty text.
# docs/opentelemetry.md names the fault; a call that was carried out has a span of its own, `execute_tool ...`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @mastra/otel-exporter@1.4.0 @mastra/core@1.71.0 @mastra/observability@1.17.9 \
    @opentelemetry/exporter-trace-otlp-http@0.218.0 zod@4.6.7
cat > told.js <<'NODE'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Agent } from "@mastra/core/agent";
import { Mastra } from "@mastra/core/mastra";
import { createTool } from "@mastra/core/tools";
import { Observability } from "@mastra/observability";
import { OtelExporter } from "@mastra/otel-exporter";
import { z } from "zod";

const call = { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"city":"Oslo"}' } };
const spans = [];

// A model that calls a tool and says what it brought, and a receiver of spans.
function answer(url, asked) {
  if (url === "/v1/traces") {
    for (const resource of asked.resourceSpans) for (const scope of resource.scopeSpans) spans.push(...scope.spans);
  }
  if (url !== "/v1/chat/completions") return {};
  const done = asked.messages.at(-1).role === "tool";
  const content = asked.messages.at(-1).content === "Say nothing." ? null : "Let me look.";
  const message = { role: "assistant", ...(done ? { content: "Sunny." } : { content, tool_calls: [call] }) };
  const choices = [{ index: 0, message, finish_reason: done ? "stop" : "tool_calls" }];
  const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
  return { id: "c", object: "chat.completion", created: 1, model: "small-1", choices, usage };
}
const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(answer(request.url, JSON.parse(body))));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}/v1`;

// What the span of a run's first model call tells.
async function told(question) {
  spans.length = 0;
  const get_weather = createTool({
    id: "get_weather", description: "The weather", inputSchema: z.object({ city: z.string() }), execute: async () => ({ sky: "sunny" }),
  });
  const model = { providerId: "stub", modelId: "small-1", url, apiKey: "none" };
  const agent = new Agent({ id: "helper", name: "helper", instructions: "Be brief.", tools: { get_weather }, model });
  const exporter = new OtelExporter({ provider: { custom: { endpoint: `${url}/traces`, protocol: "http/json" } } });
  const observability = new Observability({ configs: { otel: { serviceName: "weather", exporters: [exporter] } } });
  const mastra = new Mastra({ logger: false, agents: { helper: agent }, observability });
  await mastra.getAgent("helper").generate(question);
  await mastra.shutdown();
  const first = spans.filter((span) => span.name === "chat small-1").sort((a, b) => (a.startTimeUnixNano < b.startTimeUnixNano ? -1 : 1))[0];
  const value = (key) => JSON.parse(first.attributes.find((attribute) => attribute.key === key).value.stringValue);
  return { reasons: value("gen_ai.response.finish_reasons"), parts: value("gen_ai.output.messages")[0].parts };
}

const seen = { "text and a tool call": await told("How is the weather?"), "a tool call alone": await told("Say nothing.") };
server.close();
server.closeAllConnections();
for (const [name, what] of Object.entries(seen)) console.log(`answered with ${name}:`, JSON.stringify(what));
assert.deepEqual(seen, {
  "text and a tool call": { reasons: ["tool-calls"], parts: [{ type: "text", content: "Let me look." }] },
  "a tool call alone": { reasons: ["tool-calls"], parts: [{ type: "text", content: "" }] },
});
NODE
MASTRA_TELEMETRY_DISABLED=1 node told.js
echo "As described."
