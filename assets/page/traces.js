// The random ids under which this browser's tabs were recorded, kept so that all of it can be deleted.

import { randomId } from "./protocol.js";
import { readStored, store } from "./storage.js";

const KEY = "hllm-live/tabs";
const KEPT = 100; // as many as the server takes at once

/** A new id for this tab. */
export function newSession() {
  const session = randomId();
  store(KEY, [...stored(), session].slice(-KEPT));
  return session;
}

/** The ids of this browser's tabs, this one's among them wherever storage is forbidden. */
export function ownSessions(session) {
  return [...new Set([...stored(), session])].slice(-KEPT);
}

function stored() {
  const ids = readStored(KEY);
  return Array.isArray(ids) ? ids : [];
}
