// Covers that do not arrive: the server draws what it cannot show, but it can be out of reach.

const NO_PICTURE =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 300'/%3E";

/** @param {Element} root of the page: whatever comes into it later counts, too */
export function replaceLostPictures(root) {
  // Errors of pictures do not bubble, so they are caught on their way down.
  root.addEventListener(
    "error",
    (event) => {
      if (event.target.matches("img.cover") && event.target.src !== NO_PICTURE)
        event.target.src = NO_PICTURE;
    },
    true,
  );
}
