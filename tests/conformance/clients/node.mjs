// What the clients in Node share: recordings from the folder that the command line names, and what nobody caught.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { converse, describe } from "./scenario.mjs";

const [address, folder] = process.argv.slice(2);

const WAV_HEADER = 44;
const recording = (name) => new Uint8Array(readFileSync(join(folder, `${name}.wav`)).subarray(WAV_HEADER));
const picture = readFileSync(join(folder, "scene.jpg")).toString("base64");
const media = { who: recording("who"), colour: recording("colour"), scene: `data:image/jpeg;base64,${picture}` };

/** Runs a Call class and prints one line of JSON. */
export async function run(CallClass) {
  const stray = [];
  for (const kind of ["uncaughtException", "unhandledRejection"]) {
    process.on(kind, (error) => stray.push(`${kind}: ${describe(error)}`));
  }
  process.on("warning", (warning) => stray.push(`warning: ${describe(warning)}`));
  for (const level of ["warn", "error"]) {
    console[level] = (...said) => stray.push(`console.${level}: ${said.map(describe).join(" ")}`);
  }
  const report = await converse((capability, report) => new CallClass(address, media, capability, report));
  report.errors.push(...stray);
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}
