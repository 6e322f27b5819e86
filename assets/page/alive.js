// Whether the server is there.

/** Whether the server answers at all, whatever its models do. */
export async function isAlive() {
  try {
    await fetch("robots.txt", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    return true;
  } catch {
    return false;
  }
}
