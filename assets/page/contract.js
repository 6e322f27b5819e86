// What goes between the page and the server: types only, of the same names as in app/payloads.py.
// A test holds the two together.

/**
 * An item of the history.
 * @typedef {object} ItemPayload
 * @property {string} id
 * @property {string} title
 * @property {string} creator
 * @property {string} cover
 */

/**
 * Which items are recommended: "" and null mean: no bound.
 * @typedef {object} FilterPayload
 * @property {string} category
 * @property {?number} min_price
 * @property {?number} max_price
 */

/**
 * Asks for recommendations: `props.value` of the event "recompute".
 * @typedef {object} AnswerRequest
 * @property {number} version
 * @property {string[]} history
 * @property {FilterPayload} filter
 * @property {string} session
 * @property {boolean} example
 */

/**
 * A named history to start from.
 * @typedef {object} ExamplePayload
 * @property {string} name
 * @property {ItemPayload[]} items
 */

/**
 * Everything that is shown for a history: `props.answer`. `start` and `columns` are HTML.
 * @typedef {object} AnswerPayload
 * @property {number} version
 * @property {ItemPayload[]} history
 * @property {FilterPayload} filter
 * @property {string[]} notices
 * @property {boolean} warming
 * @property {string} agreement
 * @property {string} live
 * @property {?string} start
 * @property {ExamplePayload[]} examples
 * @property {Object<string, string>} columns
 * @property {string} example
 */

/**
 * Why there is no answer: `props.answer`, too; busy: ask again by itself.
 * @typedef {object} ErrorPayload
 * @property {number} version
 * @property {string} error
 * @property {boolean} busy
 */

/**
 * Asks for a part of the catalogue: what `server.browse` takes.
 * @typedef {object} BrowseQuery
 * @property {string} text
 * @property {string} category
 * @property {string} sort
 * @property {?string} cursor
 */

/**
 * A part of the catalogue: what `server.browse` gives. `html` goes into the grid.
 * @typedef {object} BrowsePayload
 * @property {string} html
 * @property {?string} cursor
 * @property {string} count
 */

/**
 * Asks about an item, given a history: what `server.detail` and `server.why` take.
 * @typedef {object} DetailQuery
 * @property {string} item
 * @property {string[]} history
 */

/**
 * What the drawer shows of an item: what `server.detail` gives. `html` goes into it; `explains` is
 * "now", "request" or "no".
 * @typedef {object} DetailPayload
 * @property {string} title
 * @property {string} html
 * @property {string} explains
 */

/**
 * Why an item is ranked where it is: what `server.why` gives. `html` goes into the drawer.
 * @typedef {object} WhyPayload
 * @property {string} html
 * @property {Object<string, number>} changes
 */

/**
 * Tells what was put into the history, and where it was found: what `server.record` takes.
 * @typedef {object} ClickPayload
 * @property {string} item_id
 * @property {string} source
 * @property {?number} rank
 * @property {string} session
 */

/**
 * Asks to delete what was recorded of this browser: what `server.forget` takes.
 * @typedef {object} ForgetRequest
 * @property {string[]} sessions
 */

/**
 * What came of that, as a sentence: what `server.forget` gives.
 * @typedef {object} ForgetPayload
 * @property {string} message
 */
