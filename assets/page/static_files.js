// The files of a page without a server: JSON, compressed, and arrays of numbers in pieces.

/**
 * @typedef {object} StoredNumbers
 * @property {string[]} files in order
 * @property {string} type "float16", "float32" or "int32"
 */

/** @param {ArrayBuffer} buffer compressed with gzip; or not, where the host has unpacked it */
export async function unpacked(buffer) {
  const [first, second] = new Uint8Array(buffer, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return buffer;
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/**
 * @param {function(string): Promise<ArrayBuffer>} read gives a file by its name
 * @param {string} name
 */
export async function readJson(read, name) {
  return JSON.parse(new TextDecoder().decode(await unpacked(await read(name))));
}

/** Pieces, put together. */
export async function readJoined(read, names) {
  const parts = await Promise.all(names.map(read));
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return joined.buffer;
}

/**
 * @param {function} read
 * @param {StoredNumbers} stored
 * @returns {Promise<Float32Array|Int32Array>}
 */
export async function readNumbers(read, stored) {
  const buffer = await readJoined(read, stored.files);
  if (stored.type === "float16") return fromHalves(new Uint16Array(buffer));
  return stored.type === "int32" ? new Int32Array(buffer) : new Float32Array(buffer);
}

/** Numbers of half precision as their bits, in single precision. */
export function fromHalves(bits) {
  const known = new Float32Array(1 << 16);
  for (let half = 0; half < known.length; half += 1) known[half] = floatOf(half);
  return Float32Array.from(bits, (half) => known[half]);
}

function floatOf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
