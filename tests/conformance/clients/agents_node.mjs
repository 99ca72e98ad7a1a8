// @openai/agents-realtime in Node.

import * as library from "@openai/agents-realtime";
import { agentsCall } from "./agents.mjs";
import { run } from "./node.mjs";

await run(agentsCall(library));
