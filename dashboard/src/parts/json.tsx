/** Values as text: cut where they are long, whole on request. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";

import { lines } from "../pure/lines";
import { Copy } from "./basics";

/** So many characters are shown unasked, and so many at once: of more, what is in view. */
const SHOWN = 4_000;
const AT_ONCE = 20_000;
const LINE = 18;
const WIDE = 400;

export function Json({ value, label }: { value: unknown; label: string }) {
  const [isWhole, setWhole] = useState(false);
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value]);
  const isCut = !isWhole && text.length > SHOWN;
  return (
    <div className="json">
      {isWhole && text.length > AT_ONCE ? (
        <Lines text={text} label={label} />
      ) : (
        <pre className="code scroll" tabIndex={0} aria-label={label}>
          {paint(isCut ? text.slice(0, SHOWN) : text)}
        </pre>
      )}
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

/** A long text, of which the lines in view are drawn. */
function Lines({ text, label }: { text: string; label: string }) {
  const scroller = useRef<HTMLPreElement>(null);
  const all = useMemo(() => lines(text, WIDE), [text]);
  const virtual = useVirtualizer({
    count: all.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 20,
  });
  return (
    <pre className="code scroll" ref={scroller} tabIndex={0} aria-label={label}>
      <code className="lines" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => (
          <span key={item.index} style={{ transform: `translateY(${item.start}px)` }}>
            {paint(all[item.index]!)}
          </span>
        ))}
      </code>
    </pre>
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
