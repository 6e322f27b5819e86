// Light or dark: as the system has it, until the visitor chooses. Gradio's name for dark is a class.

import { readStored, store } from "./storage.js";

const THEME_KEY = "hllm-live/theme";

export function restoreTheme() {
  const theme = readStored(THEME_KEY);
  if (theme) document.body.classList.toggle("dark", theme === "dark");
}

export function switchTheme() {
  const dark = document.body.classList.toggle("dark");
  store(THEME_KEY, dark ? "dark" : "light");
}
