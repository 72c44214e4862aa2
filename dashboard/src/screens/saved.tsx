/** Views of the list of runs that this browser keeps: a view is a name for filters. */

import { useState } from "react";

import { Icon } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { readSearch, type RunsSearch } from "../pure/filters";

const KEY = "stream_durable.views";

interface View {
  name: string;
  search: RunsSearch;
}

const GIVEN: readonly View[] = [
  { name: "All", search: {} },
  { name: "Needs review", search: { reviewed: false } },
  { name: "Failed", search: { failed: true } },
  { name: "Under way", search: { status: ["pending", "running", "waiting", "paused"] } },
];

function kept(): View[] {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]") as View[];
    return found.map((each) => ({ name: String(each.name), search: readSearch(each.search as Record<string, unknown>) }));
  } catch {
    return [];
  }
}

export function Views({ search, onChange }: { search: RunsSearch; onChange: (next: RunsSearch) => void }) {
  const [views, setViews] = useState(kept);
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const store = (next: View[]) => {
    localStorage.setItem(KEY, JSON.stringify(next));
    setViews(next);
  };
  const text = JSON.stringify(search);
  const all = [...GIVEN, ...views];
  const isKnown = all.some((each) => JSON.stringify(each.search) === text);
  const own = views.find((each) => JSON.stringify(each.search) === text);
  return (
    <div className="tabs" role="group" aria-label="Views">
      {all.map((each) => (
        <button key={each.name} type="button" className="view" aria-pressed={JSON.stringify(each.search) === text} onClick={() => onChange(each.search)}>
          {each.name}
        </button>
      ))}
      {!isKnown && (
        <button type="button" className="view q2" onClick={() => setNaming(true)}>
          <Icon name="bookmark" /> Save view
        </button>
      )}
      {own && (
        <button type="button" className="view q2" onClick={() => store(views.filter((each) => each !== own))}>
          <Icon name="x" /> Forget {own.name}
        </button>
      )}
      {isNaming && (
        <Dialog title="Save this view" onClose={() => setNaming(false)}>
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              if (!name.trim()) return;
              store([...views.filter((each) => each.name !== name.trim()), { name: name.trim(), search }]);
              setName("");
              setNaming(false);
            }}
          >
            <label className="field">
              <span className="lbl">Name</span>
              <input className="input" value={name} onChange={(event) => setName(event.target.value)} />
              <span className="hint">It is kept in this browser. A link to the list shows the same to others.</span>
            </label>
            <button type="submit" className="btn btn--main" disabled={!name.trim()}>
              Save
            </button>
          </form>
        </Dialog>
      )}
    </div>
  );
}
