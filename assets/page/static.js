// The page without a server: the same page, which asks files in its place. See docs/static.md.

import { startPage } from "./page.js";
import { openRuntime } from "./static_runtime.js";
import { makeStaticServer } from "./static_server.js";

/**
 * @param {Element} element that holds the page
 * @param {URL} base folder of the page's files
 */
export function startStatic(element, base) {
  const urlOf = (name) => new URL(name, base).href;
  const read = async (name) => {
    const found = await fetch(urlOf(name));
    if (!found.ok) throw new Error(`${name}: ${found.status}`);
    return found.arrayBuffer();
  };
  const inRuntime = (name) => `onnxruntime-web/${name}`;
  const runtime = openRuntime(
    (name) => read(inRuntime(name)),
    (name) => urlOf(inRuntime(name)),
  );
  runtime.catch(() => {}); // the column that waits for it says so
  const server = makeStaticServer(read, async (...model) => (await runtime)(...model));
  // Files answer, or the browser says at once why not.
  startPage({ element, server, alive: async () => true });
}
