// Two turns of the Vercel AI SDK. Arguments: the model server, the telemetry server, the session, the user.

import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [models, telemetry, sessionId, userId] = process.argv.slice(2);
const exporter = new OTLPTraceExporter({ url: `${telemetry}/v1/traces` });
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();

const settings = {
  model: createOpenAI({ baseURL: models, apiKey: "none" }).chat("small"),
  system: "Be brief.",
  stopWhen: stepCountIs(3),
  tools: {
    get_weather: tool({
      description: "The weather of a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => `sunny in ${city}`,
    }),
  },
  experimental_telemetry: { isEnabled: true, functionId: "weather_agent", metadata: { sessionId, userId } },
};
const messages = [{ role: "user", content: "What is the weather in Oslo?" }];
const first = await generateText({ ...settings, messages });
messages.push(...first.response.messages, { role: "user", content: "And tomorrow?" });
for await (const _ of streamText({ ...settings, messages }).textStream);
await provider.shutdown();
