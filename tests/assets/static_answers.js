// Answers of a page without a server, in node: python -m app.export_static has written it.
//
// node static_answers.js FOLDER: reads lines of JSON, [name, question], and writes one for each.

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { openRuntime } from "../../assets/page/static_runtime.js";
import { makeStaticServer } from "../../assets/page/static_server.js";

const folder = resolve(process.argv[2]);

async function read(name) {
  const { buffer, byteOffset, byteLength } = await readFile(join(folder, name));
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

const runtime = await openRuntime(
  (name) => read(join("onnxruntime-web", name)),
  (name) => pathToFileURL(join(folder, "onnxruntime-web", name)).href,
);
const server = makeStaticServer(read, runtime);
for await (const line of createInterface({ input: process.stdin })) {
  const [name, question] = JSON.parse(line);
  let answer = await server[name](question);
  while (answer?.warming) answer = await server[name](question);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
