// What the page says: above the lists, under the history, and aloud.

import { makeAnnouncer } from "./announce.js";

/**
 * @param {Element} root of the page
 * @param {object} answers the lists, above which something can be said
 */
export function makeSpeech(root, answers) {
  const notices = root.querySelector(".notices");
  const forgotten = root.querySelector(".forgotten");
  const announce = makeAnnouncer(root.querySelector(".spoken"));
  const changes = []; // what has been done since the last answer, in words
  let standing = ""; // of the recommendations, as it was last told

  return {
    announce,

    /** Something was done; it is told with the answer that follows. */
    did(...sentences) {
      changes.push(...sentences);
    },

    /** The same in the place of all that was done: of many steps of a slider the last is told. */
    didOnly(sentence) {
      changes.splice(0, changes.length, sentence);
    },

    /** Above the recommendations, and aloud. */
    tell(text, ...elements) {
      answers.say(text, ...elements);
      announce([...changes.splice(0), text].join(" "));
    },

    /** Under the history, and aloud with the answer that follows. */
    notice(sentences) {
      notices.textContent = sentences.join(" ");
      changes.push(...sentences);
    },

    /** Under the history, which every part of the page shows, and aloud. */
    say(text) {
      notices.textContent = text;
      announce(text);
    },

    /** Beside the button, at the foot of the page, where the other lines are out of sight. */
    tellForgotten(text) {
      forgotten.textContent = text;
      announce(text);
    },

    /** An answer to the same question again, as while a model loads, is told only if it is news. */
    tellAnswer() {
      const before = standing;
      standing = answers.standing();
      if (changes.length || standing !== before)
        announce([...changes.splice(0), standing].join(" "));
    },
  };
}
