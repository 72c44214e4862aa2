/** The theme: the system's, or the one chosen in this browser. */

export type Theme = "system" | "light" | "dark";

const KEY = "stream_durable.theme";

export function theme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function setTheme(chosen: Theme): void {
  localStorage.setItem(KEY, chosen);
  applyTheme();
}

export function applyTheme(): void {
  const asked = new URLSearchParams(location.search).get("theme");
  const chosen = asked === "light" || asked === "dark" ? asked : theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
