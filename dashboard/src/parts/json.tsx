/** Values as text: cut where they are long, whole on request. */

import { useMemo, useState } from "react";

import { Copy } from "./basics";

const SHOWN = 4_000;

export function Json({ value, label }: { value: unknown; label: string }) {
  const [isWhole, setWhole] = useState(false);
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value]);
  const isCut = !isWhole && text.length > SHOWN;
  return (
    <div className="json">
      <pre className="code scroll" tabIndex={0} aria-label={label}>
        {paint(isCut ? text.slice(0, SHOWN) : text)}
      </pre>
      <div className="row json__acts">
        <Copy text={text} label={`Copy ${label}`}>
          Copy
        </Copy>
        {isCut && (
          <button type="button" className="link" onClick={() => setWhole(true)}>
            Show all {text.length.toLocaleString("en")} characters
          </button>
        )}
      </div>
    </div>
  );
}

/** Keys lighter than values. */
function paint(text: string) {
  return text.split(/("(?:[^"\\]|\\.)*":)/).map((part, i) =>
    i % 2 ? (
      <span key={i} className="k">
        {part}
      </span>
    ) : (
      part
    ),
  );
}
