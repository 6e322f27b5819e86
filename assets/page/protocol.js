// Questions and answers: which answer belongs to the last question, and what if none comes.

const ANSWER_LIMIT_MS = 15000;
const WARM_UP_POLL_MS = 1000;

/** A random id for this tab, the only thing by which the server tells visitors apart. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} session id of this tab
 * @param {object} page
 * @param {function(import("./contract.js").AnswerRequest): void} page.send
 * @param {function(boolean): void} page.setBusy an answer is awaited, or no longer
 * @param {function(): void} page.onSilence no answer came in time
 * @param {function(string): void} page.onError the server says why there is no answer
 * @param {function(import("./contract.js").AnswerPayload): void} page.onLastAnswer the answer to the
 *   last question, before it is shown
 * @param {function(import("./contract.js").AnswerPayload, boolean): void} page.onAnswer any answer,
 *   to show, and whether it is the one to the last question
 * @param {function(): void} page.askAgain a model was still loading: the same question once more
 */
export function makeProtocol(session, page) {
  let version = 0;
  let watchdog = 0;
  let warmUp = 0;

  /** @param {string[]} history item ids, oldest first */
  function ask(history, filter) {
    version += 1;
    clearTimeout(warmUp);
    clearTimeout(watchdog);
    watchdog = setTimeout(page.onSilence, ANSWER_LIMIT_MS);
    page.setBusy(true);
    page.send({ version, history, filter, session });
  }

  function settle() {
    clearTimeout(watchdog);
    page.setBusy(false);
  }

  /** Answers to earlier questions are shown, too: a fast visitor sees the columns follow. */
  function receive(answer) {
    if (!answer || typeof answer.version !== "number") return;
    if (answer.error) {
      settle();
      page.onError(answer.error);
      return;
    }
    if (answer.version === version) {
      settle();
      page.onLastAnswer(answer);
      if (answer.warming) warmUp = setTimeout(page.askAgain, WARM_UP_POLL_MS);
    }
    page.onAnswer(answer, answer.version === version);
  }

  return { ask, receive };
}
