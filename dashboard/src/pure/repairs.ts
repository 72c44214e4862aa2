/** What a repair would do, by the findings that it is for. */

const WORDS: Record<string, string> = {
  migrate: "Apply the migrations",
  apply_topics: "Create and correct topics",
  reopen_waits: "Let runs ask again for events",
};

interface Found {
  thing: string;
  repair?: string | null;
}

/** Return the repairs of findings, each once and in their order, with the things that are repaired; no more than can be read. */
export function repairsOf(found: readonly Found[], most = 6): { what: string; things: string[] }[] {
  const things = new Map<string, string[]>();
  for (const { thing, repair } of found) if (repair) things.set(repair, [...(things.get(repair) ?? []), thing]);
  return [...things].map(([repair, all]) => ({
    what: WORDS[repair] ?? repair,
    things: all.length > most ? [...all.slice(0, most), `and ${(all.length - most).toLocaleString("en")} more`] : all,
  }));
}
