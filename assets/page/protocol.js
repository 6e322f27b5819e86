// Questions and answers: which answer belongs to the last question, and what if none comes.

const DOUBT_MS = 2000; // then the server is asked whether it is there
const ANSWER_LIMIT_MS = 15000;
const REPEAT_MS = 300; // before a question whose connection broke is asked again, once
const WARM_UP_POLL_MS = 1000;
const BUSY_MS = 3000; // and up to twice that, before the same question is asked again

/** A random id for this tab, the only thing by which the server tells visitors apart. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * One question is under way at a time. What is asked meanwhile waits, and only the last of it is
 * sent: a fast visitor loses no click and is not answered late.
 * @param {string} session id of this tab
 * @param {object} page
 * @param {function(import("./contract.js").AnswerRequest): Promise<object>} page.fetch an
 *   AnswerPayload or an ErrorPayload
 * @param {function(boolean): void} page.setBusy an answer is awaited, or no longer
 * @param {function(): Promise<boolean>} page.isAlive whether the server is there
 * @param {function(): void} page.onSilence no answer came in time, or there is no server
 * @param {function(string): void} page.onError the server says why there is no answer
 * @param {function(import("./contract.js").AnswerPayload): void} page.onLastAnswer the answer to the
 *   last question, before it is shown
 * @param {function(import("./contract.js").AnswerPayload, boolean): void} page.onAnswer any answer,
 *   to show, and whether it is the one to the last question
 * @param {function(): void} page.askAgain a model was still loading, or too many
 *   asked: the same question once more
 */
export function makeProtocol(session, page) {
  let version = 0;
  let newest = 0; // version of the newest answer
  let watchdog = 0;
  let doubt = 0;
  let waiting = false;
  let warmUp = 0;
  let underWay = null; // the question that was sent
  let next = null; // the one that waits
  let repeated = 0; // version of the last one that was asked again

  /**
   * @param {import("./contract.js").AnswerRequest} question without version and session
   */
  function ask(question) {
    version += 1;
    clearTimeout(warmUp);
    clearTimeout(watchdog);
    clearTimeout(doubt);
    watchdog = setTimeout(giveUp, ANSWER_LIMIT_MS);
    doubt = setTimeout(check, DOUBT_MS, version);
    waiting = true;
    page.setBusy(true);
    next = { ...question, version, session };
    if (!underWay) send();
  }

  /** Answers to what has been asked until now are about something else, and not to be shown. */
  function overtake() {
    newest = version + 1;
  }

  async function send() {
    const question = next;
    underWay = question;
    next = null;
    const found = await page.fetch(question).catch(() => null);
    const answer = typeof found?.version === "number" ? found : null;
    if (answer) receive(answer); // late or not
    if (underWay === question) {
      underWay = null;
      if (!answer && question.version === version) again(question);
    }
    if (next && !underWay) send();
  }

  /** The server that was asked may be gone, and another one stand in for it. */
  function again(question) {
    if (repeated === question.version) return giveUp();
    repeated = question.version;
    setTimeout(() => {
      if (question.version !== version || !waiting || underWay) return;
      next = question;
      send();
    }, REPEAT_MS);
  }

  /** No answer will come; the next question does not wait for it. */
  function giveUp() {
    underWay = null;
    clearTimeout(watchdog);
    clearTimeout(doubt);
    page.onSilence();
  }

  async function check(asked) {
    if (await page.isAlive()) return;
    if (asked === version && waiting) giveUp();
  }

  function settle() {
    waiting = false;
    clearTimeout(doubt);
    clearTimeout(watchdog);
    page.setBusy(false);
  }

  /**
   * Answers to earlier questions are shown, too: a fast visitor sees the columns follow. But not
   * one that a later one has overtaken: its lists would stay.
   */
  function receive(answer) {
    if (answer.version < newest) return;
    newest = answer.version;
    if (answer.error) {
      if (answer.busy && answer.version !== version) return; // overtaken: another one is waited for
      settle();
      page.onError(answer.error);
      // Not all of them at the same moment.
      if (answer.busy) warmUp = setTimeout(page.askAgain, BUSY_MS * (1 + Math.random()));
      return;
    }
    if (answer.version === version) {
      settle();
      page.onLastAnswer(answer);
      if (answer.warming) warmUp = setTimeout(page.askAgain, WARM_UP_POLL_MS);
    }
    page.onAnswer(answer, answer.version === version);
  }

  return { ask, overtake };
}
