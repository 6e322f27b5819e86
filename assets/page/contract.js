// What goes between the page and the server: types only, of the same names as in app/contract.py.
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
 * An item that a visitor has written, in the place of an item id.
 * @typedef {object} WrittenPayload
 * @property {string} title
 * @property {string} creator
 * @property {string} category
 * @property {string} description
 */

/**
 * Which items are recommended: "" and null mean: no bound.
 * @typedef {object} FilterPayload
 * @property {string} category
 * @property {?number} min_price
 * @property {?number} max_price
 */

/**
 * How the lists of a what-if are re-ranked, each from 0, off, to 1.
 * @typedef {object} WhatIfPayload
 * @property {number} diversity
 * @property {number} less_popular
 */

/**
 * Asks for recommendations. With `what_if` the history is
 * one that is only tried, and nothing is recorded.
 * @typedef {object} AnswerRequest
 * @property {number} version
 * @property {Array<string|WrittenPayload>} history
 * @property {FilterPayload} filter
 * @property {string} session
 * @property {boolean} example
 * @property {string} blind
 * @property {?WhatIfPayload} what_if
 * @property {?string[]} models
 * @property {boolean} known
 */

/**
 * A named history to start from.
 * @typedef {object} ExamplePayload
 * @property {string} name
 * @property {ItemPayload[]} items
 */

/**
 * What computes one step, and its precision, device and size in words.
 * @typedef {object} StagePayload
 * @property {string} name
 * @property {string} facts
 */

/**
 * What an answer took: the numbers of the band "How it works". Times are in milliseconds.
 * @typedef {object} HowPayload
 * @property {StagePayload[]} stages
 * @property {number} width
 * @property {number} num_items
 * @property {number} num_read
 * @property {number} num_known
 * @property {number} encode_ms
 * @property {number} search_ms
 * @property {number} num_candidates
 * @property {string} beside
 * @property {?number} baseline_ms
 * @property {number} server_ms
 */

/**
 * Everything that is shown for a history: `props.answer`. `start` and `columns` are HTML.
 * @typedef {object} AnswerPayload
 * @property {number} version
 * @property {?ItemPayload[]} history
 * @property {FilterPayload} filter
 * @property {string[]} notices
 * @property {boolean} warming
 * @property {string} agreement
 * @property {string} live
 * @property {?string} start
 * @property {ExamplePayload[]} examples
 * @property {Object<string, string>} columns
 * @property {string} example
 * @property {?HowPayload} how
 * @property {?ShownPayload} shown
 */

/**
 * Why there is no answer: `props.answer`, too; busy: ask again by itself.
 * @typedef {object} ErrorPayload
 * @property {number} version
 * @property {string} error
 * @property {boolean} busy
 */

/**
 * Asks for the page in a language and of a catalogue: what `server.frame` takes; any other question
 * may have both, too.
 * @typedef {object} FrameQuery
 * @property {string} lang
 * @property {?string} catalog
 */

/**
 * That page: what `server.frame` gives. `shell` is HTML of its frame.
 * @typedef {object} FramePayload
 * @property {string} shell
 * @property {Object<string, string>} texts
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
 * @property {Array<string|WrittenPayload>} history
 * @property {boolean} blind
 * @property {?string[]} models
 */

/**
 * What the drawer shows of an item: what `server.detail` gives. `html` goes into it; `explains` is
 * "now", "request" or "no".
 * @typedef {object} DetailPayload
 * @property {string} title
 * @property {string} html
 * @property {string} explains
 * @property {string} inside
 */

/**
 * Why an item is ranked where it is: what `server.why` gives. `html` goes into the drawer.
 * @typedef {object} WhyPayload
 * @property {string} html
 * @property {Object<string, number>} changes
 */

/**
 * Asks to read a history anew, without what is known of it: what `server.whole` takes.
 * @typedef {object} WholeQuery
 * @property {Array<string|WrittenPayload>} history
 * @property {?string[]} models
 */

/**
 * What that took: what `server.whole` gives.
 * @typedef {object} WholePayload
 * @property {number} num_read
 * @property {number} encode_ms
 * @property {number} cosine
 * @property {string} message
 */

/**
 * Asks which rows of the lists the items of a history push: what `server.pushes` takes.
 * @typedef {object} PushesQuery
 * @property {Array<string|WrittenPayload>} history
 * @property {Object<string, string[]>} rows
 * @property {?string[]} models
 */

/**
 * How far a row would fall without an item, by column, item and row: what `server.pushes` gives.
 * @typedef {object} PushesPayload
 * @property {Object<string, Object<string, Object<string, number>>>} pushes
 */

/**
 * Asks to encode what the visitor has written: what `server.write` takes. Without an item: only to
 * load what encodes it.
 * @typedef {object} WriteRequest
 * @property {?WrittenPayload} item
 * @property {Array<string|WrittenPayload>} history
 * @property {boolean} wish
 * @property {?string[]} models
 */

/**
 * What is known of it: what `server.write` gives. `html` goes into the drawer.
 * `state` is "ready", "later", "refused" or "failed".
 * @typedef {object} WritePayload
 * @property {string} state
 * @property {string} message
 * @property {?ItemPayload} item
 * @property {?WrittenPayload} written
 * @property {string} html
 */

/**
 * Tells what was picked from the catalogue, and the history before: what `server.judge` takes.
 * @typedef {object} PickRequest
 * @property {string} item
 * @property {Array<string|WrittenPayload>} history
 * @property {string} session
 * @property {string} key
 */

/**
 * Where both models had ranked a picked item: what `server.judge` gives, or null.
 * @typedef {object} VerdictPayload
 * @property {string} item
 * @property {string} title
 * @property {Object<string, ?number>} ranks
 * @property {Object<string, number>} num_ranked
 * @property {boolean} is_stored
 */

/**
 * A mean, and its 95% interval where there is enough for one.
 * @typedef {object} EstimatePayload
 * @property {number} value
 * @property {?number} low
 * @property {?number} high
 */

/**
 * One model on all picks.
 * @typedef {object} ModelScorePayload
 * @property {number} closer
 * @property {EstimatePayload} hit
 * @property {EstimatePayload} mrr
 */

/**
 * The picks of all visits: what `server.scores` gives.
 * @typedef {object} ScoresPayload
 * @property {number} picks
 * @property {number} visits
 * @property {Object<string, ModelScorePayload>} models
 * @property {string} message
 */

/**
 * Tells what was picked from the list of a blind test, or taken back: what `server.blind` takes.
 * @typedef {object} BlindPickRequest
 * @property {string} seed
 * @property {string[]} history
 * @property {FilterPayload} filter
 * @property {string} item
 * @property {number} position
 * @property {boolean} withdrawn
 * @property {string} session
 */

/**
 * For which column a pick counts, "" for none, and why: what `server.blind` gives.
 * @typedef {object} BlindPickPayload
 * @property {string} team
 * @property {string} message
 * @property {boolean} is_stored
 */

/**
 * Asks what the picks of a blind test say, by column: what `server.reveal` takes.
 * @typedef {object} RevealQuery
 * @property {Object<string, number>} wins
 */

/**
 * What they say, as sentences: what `server.reveal` gives.
 * @typedef {object} RevealPayload
 * @property {string} result
 * @property {string} chance
 */

/**
 * Tells what was put into the history, and where it was found: what `server.record` takes.
 * @typedef {object} ClickPayload
 * @property {string} item_id
 * @property {string} source
 * @property {?number} rank
 * @property {string} session
 * @property {string} key
 */

/**
 * Whether it need not be told again: what `server.record` gives.
 * @typedef {object} RecordPayload
 * @property {boolean} is_settled
 */

/**
 * Asks for what a visitor can take along of a history: what `server.keep` takes.
 * @typedef {object} KeepQuery
 * @property {Array<string|WrittenPayload>} history
 * @property {FilterPayload} filter
 * @property {?string[]} models
 */

/**
 * Texts to take along: what `server.keep` gives.
 * @typedef {object} KeepPayload
 * @property {string} json
 * @property {string} csv
 * @property {string} snippet
 * @property {string} hint
 * @property {string} message
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

/**
 * Which models an answer is of. `usual`: the app was started with them; `counts`: picks count.
 * @typedef {object} ShownPayload
 * @property {string} left
 * @property {string} right
 * @property {string} left_title
 * @property {string} right_title
 * @property {boolean} usual
 * @property {boolean} counts
 */

/**
 * A model that is installed; `problem` says why it cannot be chosen.
 * @typedef {object} OfferPayload
 * @property {string} name
 * @property {string} title
 * @property {string} does
 * @property {string} numbers
 * @property {string} problem
 * @property {string} remedy
 */

/**
 * Everything that is installed: what `server.models` gives.
 * @typedef {object} OffersPayload
 * @property {OfferPayload[]} offers
 * @property {string} message
 */

/**
 * What the map is drawn from, and by: what `server.open_map` gives.
 * @typedef {object} MapPayload
 * @property {string} state
 * @property {string} message
 * @property {string} method
 * @property {number} count
 * @property {string[]} categories
 * @property {string} version
 * @property {string} points
 * @property {string} script
 */

/**
 * Asks where on the map a history and rows of the lists are: what `server.map_marks` takes.
 * @typedef {object} MapMarksQuery
 * @property {Array<string|WrittenPayload>} history
 * @property {Object<string, string[]>} rows
 */

/**
 * Places, null for what has none: what `server.map_marks` gives.
 * @typedef {object} MapMarksPayload
 * @property {Array<?number[]>} history
 * @property {Object<string, Array<?number[]>>} rows
 * @property {?number[]} user
 */

/**
 * Asks which item a point is: what `server.map_item` takes; it gives an ItemPayload or null.
 * @typedef {object} MapItemQuery
 * @property {string} version
 * @property {number} point
 */

/**
 * A catalogue that is installed.
 * @typedef {object} CatalogPayload
 * @property {string} name
 * @property {string} title
 * @property {string} size
 * @property {CatalogModelPayload[]} models
 */

/**
 * A model that a catalogue is shown with first.
 * @typedef {object} CatalogModelPayload
 * @property {string} title
 * @property {string} problem
 * @property {string} remedy
 */

/**
 * Every catalogue that is installed: what `server.catalogs` gives.
 * @typedef {object} CatalogsPayload
 * @property {CatalogPayload[]} catalogs
 */
