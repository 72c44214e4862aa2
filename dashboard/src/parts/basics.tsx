/** The small parts every screen is made of. */

import { useEffect, useState, type ReactNode } from "react";

import { look, lookOfWord, type Hue } from "../pure/look";
import { duration, millis, moment, relative } from "../pure/time";
import { useNow } from "./clock";
import type { IconName } from "./sprite";

export function Icon({ name, className = "", label }: { name: IconName; className?: string; label?: string }) {
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": true };
  return (
    <svg className={`i ${className}`} {...named}>
      <use href={`#${name}`} />
    </svg>
  );
}

/** Closes the panel beside a list. */
export function ClosePanel({ onClick }: { onClick: () => void }) {
  return (
    <button type="button" className="btn btn--quiet btn--icon" aria-label="Close panel" onClick={onClick}>
      <Icon name="x" />
    </button>
  );
}

/** The only way to show a status: icon, the operator's word, and the raw status where it says more. */
export function State({ status, word, chip }: { status: string; word?: string | null; chip?: boolean }) {
  const { icon, hue } = look(status, word);
  const first = word ?? capital(status);
  const saysMore = first.toLowerCase() !== status.replaceAll("_", " ");
  return (
    <span className={`state ${hue} ${chip ? "state--chip" : ""}`}>
      <Icon name={icon} />
      <span>{first}</span>
      {saysMore && <span className="state__raw">{status}</span>}
    </span>
  );
}

export function Word({ word }: { word: string }) {
  const { icon, hue } = lookOfWord(word);
  return (
    <span className={`state ${hue}`}>
      <Icon name={icon} />
      <span>{word}</span>
    </span>
  );
}

/** The state of a step: its raw status as the word. */
export function Status({ status }: { status: string }) {
  const { icon, hue } = look(status);
  return (
    <span className={`state ${hue}`}>
      <Icon name={icon} />
      <span>{status.replaceAll("_", " ")}</span>
    </span>
  );
}

function capital(text: string): string {
  const plain = text.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** A moment, whole on hover and for readers. */
export function Time({ at }: { at: string | null | undefined }) {
  const now = useNow();
  const ms = millis(at);
  if (!at || ms === undefined) return null;
  return (
    <time className="tab" dateTime={at} title={new Date(ms).toString()}>
      {moment(ms, now)}
    </time>
  );
}

/** How long ago, or until when. */
export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow();
  const ms = millis(at);
  return at && ms !== undefined ? (
    <time className="tab" dateTime={at} title={new Date(ms).toString()}>
      {relative(ms, now)}
    </time>
  ) : null;
}

/** How long something took, or takes so far. */
export function Took({ from, to }: { from: string | null | undefined; to: string | null | undefined }) {
  const now = useNow();
  const begin = millis(from);
  if (begin === undefined) return null;
  return <span className="tab">{duration((millis(to) ?? now) - begin)}</span>;
}

export function Kbd({ children }: { children: ReactNode }) {
  return <kbd className="kbd" aria-hidden="true">{children}</kbd>;
}

export function Tag({ children }: { children: ReactNode }) {
  return <span className="tag">{children}</span>;
}

/** Copies, and says so for a moment. What is long is put together when it is asked for. */
export function Copy({ text, label, children }: { text: string | (() => string); label: string; children?: ReactNode }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1_500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => void navigator.clipboard?.writeText(typeof text === "string" ? text : text()).then(() => setDone(true));
  if (children) {
    return (
      <button type="button" className="link" onClick={copy} title={label}>
        {done ? "Copied" : children}
      </button>
    );
  }
  return (
    <button type="button" className="btn btn--quiet btn--icon btn--small" onClick={copy} aria-label={label} title={label}>
      <Icon name={done ? "check" : "copy"} className="q3" />
    </button>
  );
}

export function Seg<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  return (
    <div className="seg" role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>
          {text}
        </button>
      ))}
    </div>
  );
}

export function Switch({ on, label, onChange, disabled }: { on: boolean; label: string; onChange: () => void; disabled?: boolean }) {
  return (
    <button
      type="button"
      className="switch"
      role="switch"
      aria-checked={on}
      aria-label={label}
      disabled={disabled}
      onClick={(event) => {
        event.stopPropagation();
        onChange();
      }}
    />
  );
}

/** The strip that explains: word, what, since when, what happens next, one act. */
export function Why({ hue, icon, word, children, act }: { hue: Hue; icon: IconName; word: string; children: ReactNode; act?: ReactNode }) {
  return (
    <div className={`why ${hue}`} role="status">
      <Icon name={icon} />
      <p className="grow">
        <span className="why__word">{word}</span> {children}
      </p>
      {act && <div className="right row">{act}</div>}
    </div>
  );
}

/** Marks names in a sentence of the server: what is between backticks. */
export function Sentence({ text }: { text: string }) {
  return (
    <>
      {text.split(/(`[^`]+`)/).map((part, i) =>
        part.startsWith("`") && part.endsWith("`") ? <code key={i}>{part.slice(1, -1)}</code> : part,
      )}
    </>
  );
}

export function Meter({ done, total }: { done: number; total: number }) {
  const share = total ? Math.round((100 * done) / total) : 0;
  return (
    <span className="meter" aria-hidden="true">
      <span style={{ width: `${share}%` }} />
    </span>
  );
}

/** What would be here, or why it is not; `isPage` where it is all of the page. */
export function Empty({ title, children, isPage }: { title: string; children?: ReactNode; isPage?: boolean }) {
  return (
    <div className="empty">
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** Rows that keep the layout while the answer is on its way; shown after a moment. */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="skels" aria-busy="true">
      <span className="vh">Loading</span>
      {isLate && Array.from({ length: rows }, (_, i) => <div key={i} className="skel" />)}
    </div>
  );
}
