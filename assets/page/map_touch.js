// Fingers on the map: one moves it, two zoom. The library listens to a mouse alone; a tap reaches it
// as a click of one.

/**
 * @param {Element} canvas
 * @param {function(function(object): void): void} move gives the camera of the library, to be changed
 */
export function listenToFingers(canvas, move) {
  const fingers = new Map(); // by pointer: its last x and y

  /** The middle of all fingers, and how far the first two are apart. */
  function grip() {
    const all = [...fingers.values()];
    const [first, second] = all;
    return {
      x: all.reduce((sum, finger) => sum + finger.x, 0) / all.length,
      y: all.reduce((sum, finger) => sum + finger.y, 0) / all.length,
      span: second ? Math.hypot(first.x - second.x, first.y - second.y) : 0,
    };
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    fingers.set(event.pointerId, { x: event.clientX - box.left, y: event.clientY - box.top });
    return box;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") place(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = grip();
    const { width, height } = place(event);
    const now = grip();
    const unit = 2 / height; // of the camera, for a pixel: its height is 2
    const middle = [(now.x - width / 2) * unit, (height / 2 - now.y) * unit];
    move((camera) => {
      camera.pan([(now.x - before.x) * unit, (before.y - now.y) * unit]);
      if (before.span && now.span) camera.scale(now.span / before.span, middle);
    });
  });
  for (const kind of ["pointerup", "pointercancel"])
    canvas.addEventListener(kind, (event) => fingers.delete(event.pointerId));
}
