// ONNX Runtime Web: runs the User LLM as WebAssembly, in one thread, since hosts of plain files allow
// no shared memory. It is loaded from beside the page.

import { unpacked } from "./static_files.js";

/**
 * @param {function(string): Promise<ArrayBuffer>} read gives a file of the runtime by its name
 * @param {function(string): string} urlOf gives its address
 * @returns {Promise<function(ArrayBuffer, string, string): Promise<function(Float32Array, number):
 *   Promise<Float32Array>>>} opens an ONNX model with one input (S, D) and one output (D,), by their
 *   names; what it gives runs it on S rows
 */
export async function openRuntime(read, urlOf) {
  const [ort, packed] = await Promise.all([
    import(urlOf("ort.wasm.min.mjs")),
    read("ort-wasm-simd-threaded.wasm.gz"),
  ]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { mjs: urlOf("ort-wasm-simd-threaded.mjs") };
  ort.env.wasm.wasmBinary = await unpacked(packed);
  return async (model, input, output) => {
    const session = await ort.InferenceSession.create(new Uint8Array(model), {
      executionProviders: ["wasm"],
    });
    return async (rows, length) => {
      const tensor = new ort.Tensor("float32", rows, [length, rows.length / length]);
      const { [output]: found } = await session.run({ [input]: tensor });
      return found.data;
    };
  };
}
