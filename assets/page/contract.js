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
 * Why there is no answer: `props.answer`, too.
 * @typedef {object} ErrorPayload
 * @property {number} version
 * @property {string} error
 */

/**
 * Asks for a part of the catalogue: what `server.browse` takes. `item`, if it is not "", is the only
 * item wanted.
 * @typedef {object} BrowseQuery
 * @property {string} text
 * @property {string} category
 * @property {string} sort
 * @property {?string} cursor
 * @property {string} item
 */

/**
 * A part of the catalogue: what `server.browse` gives. `html` goes into the grid.
 * @typedef {object} BrowsePayload
 * @property {string} html
 * @property {?string} cursor
 * @property {string} count
 */

/**
 * Tells what was put into the history, and where it was found: what `server.record` takes.
 * @typedef {object} ClickPayload
 * @property {string} item_id
 * @property {string} source
 * @property {?number} rank
 * @property {string} session
 */
