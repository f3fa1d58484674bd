// Loaded before the first paint, so that no other theme flashes up: the theme that the reader has
// chosen here before, and whether there are scripts at all (`.needs-script`, `.without-script`).
"use strict";

document.documentElement.dataset.script = "";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden here; the system's theme it is.
}
