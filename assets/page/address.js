// The address of the page, part by part.

/**
 * An address with another value of a parameter.
 * @param {string} address
 * @param {string} name of the parameter
 * @param {?string} value null: without it; "": it stands alone, as people write "?stage"
 */
export function withParameter(address, name, value) {
  const url = new URL(address);
  url.searchParams.delete(name);
  if (value !== null) url.searchParams.set(name, value);
  url.search = url.search.replace(/\bstage=(?=&|$)/, "stage");
  return url.href;
}
