/** What floats: the browser's own dialog, which keeps focus inside and gives it back. */

import { useEffect, useId, useRef, useState, type ReactNode } from "react";

import { Failure, type Problem } from "../api/problem";
import { faults, field, initial, type Schema } from "../pure/form";
import { Icon } from "./basics";
import { Fields, focusFault, isReadable } from "./form";

export function Dialog(props: { title: string; onClose: () => void; children: ReactNode; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = box.current;
    if (!dialog || dialog.open) return;
    dialog.showModal();
    // The browser would begin with the first button, which closes it.
    const first = dialog.querySelector<HTMLElement>("form [data-first]") ?? dialog.querySelector<HTMLElement>("form :is(input, textarea, select, button[type=submit])");
    first?.focus();
  }, []);
  return (
    <dialog
      ref={box}
      className={`float dialog ${props.wide ? "dialog--wide" : ""}`}
      aria-labelledby={id}
      onClose={props.onClose}
      onClick={(event) => {
        if (event.target === box.current) box.current?.close();
      }}
    >
      <div className="dialog__box">
        <div className="between">
          <h2 id={id}>{props.title}</h2>
          <button type="button" className="btn btn--quiet btn--icon" aria-label="Close" onClick={() => box.current?.close()}>
            <Icon name="x" />
          </button>
        </div>
        {props.children}
      </div>
    </dialog>
  );
}

export interface Act {
  title: string;
  /** What will happen, in numbers or names; of what is filled in, where that is not known before. */
  preview?: ReactNode | ((value: unknown) => ReactNode);
  /** The word on the button. */
  verb: string;
  /** The word on what opens it, where that is another one. */
  short?: string;
  isRisky?: boolean;
  asksReason?: boolean;
  /** What a reason is called where it is said to others. */
  reasonLabel?: string;
  /** A value to type: JSON, or plain text. */
  value?: { label: string; initial: string; isText?: boolean };
  /** Several values to fill in; what is left empty is left out. */
  form?: { schema: Schema; initial?: Record<string, unknown>; faults?: (value: unknown) => Record<string, string> };
  /** A number to type before it goes on. */
  confirm?: number;
  run: (reason: string, value: unknown) => Promise<unknown>;
}

/** Return what was typed as a value; undefined if it is not JSON, or an empty text. */
function read(act: Act, text: string): unknown {
  if (!act.value) return null;
  if (act.value.isText) return text.trim() || undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** A write with what it does, a reason, and the refusal beside the button that caused it. */
export function ActDialog({ act, isWide, onClose, onDone }: { act: Act; isWide?: boolean; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [text, setText] = useState(act.value?.initial ?? "");
  const [made] = useState(() => act.form && field(act.form.schema, act.title));
  const [filled, setFilled] = useState<unknown>(() => act.form?.initial ?? (made && initial(made)));
  const [isTried, setTried] = useState(false);
  // What may be left as it is stands in nobody's way: who knows the keys goes on to type the reason.
  const isAside = made !== undefined && Object.values(made.fields).every((each) => !each.isRequired && ["switch", "json"].includes(each.kind));
  const wrong = made ? { ...faults(made, filled), ...act.form?.faults?.(filled ?? {}) } : {};
  const value = made ? (filled ?? {}) : read(act, text);
  const id = useId();
  const [problem, setProblem] = useState<Problem>();
  const [isSending, setSending] = useState(false);
  const needsNumber = act.confirm !== undefined && act.confirm > 100;
  const mayGo = !isSending && value !== undefined && (!needsNumber || typed.replaceAll(",", "") === String(act.confirm));
  const send = async () => {
    setTried(true);
    if (Object.keys(wrong).length) return;
    setSending(true);
    setProblem(undefined);
    try {
      await act.run(reason, value);
      onDone();
    } catch (error) {
      setProblem(error as Problem);
    } finally {
      setSending(false);
    }
  };
  return (
    <Dialog title={act.title} onClose={onClose} wide={isWide || (made && Object.keys(made.fields).length > 4)}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!mayGo || !isReadable(event.currentTarget)) return;
          if (Object.keys(wrong).length) focusFault(event.currentTarget);
          void send();
        }}
      >
        {typeof act.preview !== "function" && act.preview}
        {made && <Fields made={made} value={filled} onChange={setFilled} faults={isTried ? wrong : {}} />}
        {act.value && (
          <div className="field">
            <label htmlFor={id}>{act.value.label}</label>
            {act.value.isText ? (
              <input id={id} className="input" value={text} onChange={(event) => setText(event.target.value)} />
            ) : (
              <textarea
                id={id}
                className="input input--code mono"
                value={text}
                aria-invalid={value === undefined || undefined}
                aria-describedby={value === undefined ? `${id}-err` : undefined}
                onChange={(event) => setText(event.target.value)}
              />
            )}
            {value === undefined && !act.value.isText && (
              <span className="err" id={`${id}-err`}>
                <Icon name="s-failed" /> This is not JSON; a text stands in quotes.
              </span>
            )}
          </div>
        )}
        {typeof act.preview === "function" && act.preview(value)}
        {act.asksReason !== false && (
          <label className="field">
            <span className="lbl">{act.reasonLabel ?? "Reason"}</span>
            <input className="input" data-first={isAside || undefined} value={reason} onChange={(event) => setReason(event.target.value)} />
          </label>
        )}
        {needsNumber && (
          <label className="field">
            <span className="lbl">Type {act.confirm!.toLocaleString("en")} to confirm</span>
            <input className="input" inputMode="numeric" value={typed} onChange={(event) => setTyped(event.target.value)} />
          </label>
        )}
        {problem && <Failure problem={problem} />}
        <div className="row right">
          <button type="submit" className={`btn ${act.isRisky ? "btn--risk" : "btn--main"}`} disabled={!mayGo}>
            {isSending ? "Asked…" : act.verb}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
