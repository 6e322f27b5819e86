// The points of the map as they are sent: N times x, N times y as uint16 from -1 to 1, N colours.

const STEPS = 65_535;

/**
 * @param {ArrayBuffer} data
 * @param {number} count N
 */
export function decodePoints(data, count) {
  const view = new DataView(data); // an array of uint16 would be in the order of this machine
  const place = (at) => (view.getUint16(2 * at, true) / STEPS) * 2 - 1;
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  for (let n = 0; n < count; n += 1) {
    x[n] = place(n);
    y[n] = place(count + n);
  }
  return { x, y, valueA: Float32Array.from(new Uint8Array(data, 4 * count, count)) };
}

/** In pixels: many points must leave room between them. */
export function pointSize(count) {
  return Math.max(1.5, Math.min(6, 240 / Math.sqrt(Math.max(count, 1))));
}
