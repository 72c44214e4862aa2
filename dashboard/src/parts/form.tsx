/** A form from a JSON Schema. Faults name the limit and stand beside their field; the server is the judge. */

import { useId, useRef, useState } from "react";

import { initial, type Field } from "../pure/form";
import { Icon } from "./basics";

/** Whether all that was typed as JSON is JSON; the first that is not gets the focus. */
export function isReadable(form: HTMLFormElement): boolean {
  const wrong = form.querySelector<HTMLTextAreaElement>("textarea[data-unreadable]");
  wrong?.focus();
  return !wrong;
}

/** Put the focus on the first field with a fault, once it is shown. */
export function focusFault(form: HTMLFormElement): void {
  requestAnimationFrame(() => form.querySelector<HTMLElement>("[data-fault] :is(input, textarea, select, button)")?.focus());
}

/** So many options are each on the screen; of more, one is chosen from a list. */
const OPTIONS_MAX = 8;

interface Props {
  made: Field;
  value: unknown;
  onChange: (value: unknown) => void;
  faults: Record<string, string>;
  path?: string;
}

export function Fields(props: Props) {
  const { made, value, onChange, faults, path = "" } = props;
  if (made.kind === "list") return <List {...props} />;
  if (made.kind !== "object") return <One {...props} />;
  const whole = (value ?? {}) as Record<string, unknown>;
  const inner = Object.entries(made.fields).map(([name, each]) => (
    <Fields
      key={name}
      made={each}
      value={whole[name]}
      faults={faults}
      path={path ? `${path}.${name}` : name}
      onChange={(next) => {
        const changed = { ...whole };
        if (next === undefined) delete changed[name];
        else changed[name] = next;
        // What may be left out is, once nothing of it is filled in.
        onChange(path && !made.isRequired && Object.keys(changed).length === 0 ? undefined : changed);
      }}
    />
  ));
  if (!path) return <div className="stack">{inner}</div>;
  return (
    <fieldset className="stack fields">
      <legend className="med">
        {made.label} <Optional made={made} />
      </legend>
      {made.hint && <p className="hint">{made.hint}</p>}
      {inner}
      {faults[path] && <Below made={made} id={path} fault={faults[path]} />}
    </fieldset>
  );
}

/** A list: each item in its own way, with what adds one and takes one away. */
function List({ made, value, onChange, faults, path = "" }: Props) {
  const id = useId();
  const items = Array.isArray(value) ? (value as unknown[]) : [];
  // Items keep what is typed in them when one before them goes.
  const [keys, setKeys] = useState<readonly number[]>(() => items.map((_, i) => i));
  const add = useRef<HTMLButtonElement>(null);
  const change = (next: unknown[]) => onChange(next.length === 0 && !made.isRequired ? undefined : next);
  const fault = faults[path];
  return (
    <fieldset className="stack fields" data-fault={fault ? true : undefined}>
      <legend className="med">
        {made.label || "Items"} <Optional made={made} />
      </legend>
      {items.map((item, i) => (
        <div key={keys[i] ?? i} className="item">
          <Fields
            made={{ ...made.item!, label: `${made.item!.label || "Item"} ${i + 1}` }}
            value={item}
            faults={faults}
            path={path ? `${path}.${i}` : String(i)}
            onChange={(next) => change(items.map((each, at) => (at === i ? next : each)))}
          />
          <button
            type="button"
            className="btn btn--quiet btn--icon"
            aria-label={`Remove ${made.label || "item"} ${i + 1}`}
            onClick={() => {
              setKeys(keys.filter((_, at) => at !== i));
              change(items.filter((_, at) => at !== i));
              add.current?.focus();
            }}
          >
            <Icon name="x" />
          </button>
        </div>
      ))}
      <div>
        <button
          ref={add}
          type="button"
          className="btn btn--small"
          aria-describedby={fault ? `${id}-err` : made.hint ? `${id}-hint` : undefined}
          onClick={() => {
            setKeys([...keys, Math.max(-1, ...keys) + 1]);
            change([...items, initial(made.item!)]);
          }}
        >
          <Icon name="plus" /> Add to {made.label || "items"}
        </button>
      </div>
      <Below made={made} id={id} fault={fault} />
    </fieldset>
  );
}

function One({ made, value, onChange, faults, path = "" }: Props) {
  const id = useId();
  const fault = faults[path];
  const label = made.label || "Answer";
  const invalid = fault ? { "aria-invalid": true, "aria-describedby": `${id}-err` } : made.hint ? { "aria-describedby": `${id}-hint` } : {};
  const wrong = fault ? true : undefined;
  const shared = { id, "aria-required": made.isRequired, ...invalid };
  if (made.kind === "choice" && made.options.length > OPTIONS_MAX) {
    return (
      <div className="field" data-fault={wrong}>
        <label htmlFor={id}>
          {label} <Optional made={made} />
        </label>
        <select
          className="input"
          value={made.options.indexOf(value)}
          onChange={(event) => onChange(made.options[Number(event.target.value)])}
          {...shared}
        >
          <option value={-1} />
          {made.options.map((option, i) => (
            <option key={i} value={i}>
              {optionText(option)}
            </option>
          ))}
        </select>
        <Below made={made} id={id} fault={fault} />
      </div>
    );
  }
  if (made.kind === "choice" || made.kind === "choices") {
    return (
      <fieldset className="field" data-fault={wrong} aria-describedby={invalid["aria-describedby"]}>
        <legend className="med">
          {label} <Optional made={made} />
        </legend>
        <div className="opts opts--two">
          {made.options.map((option, i) => (
            <Option key={i} made={made} option={option} value={value} name={id} onChange={onChange} />
          ))}
          {made.kind === "choice" && !made.isRequired && <Option made={made} option={undefined} value={value ?? undefined} name={id} onChange={onChange} />}
        </div>
        <Below made={made} id={id} fault={fault} />
      </fieldset>
    );
  }
  if (made.kind === "switch") {
    return (
      <div className="field" data-fault={wrong}>
        <label className="opt">
          <input type="checkbox" checked={value === true} onChange={(event) => onChange(event.target.checked)} {...shared} />
          {label}
        </label>
        <Below made={made} id={id} fault={fault} />
      </div>
    );
  }
  return (
    <div className="field" data-fault={wrong}>
      <label htmlFor={id}>
        {label} <Optional made={made} />
      </label>
      {made.kind === "json" || made.kind === "object" ? (
        <RawJson shared={shared} value={value} onChange={onChange} />
      ) : made.kind === "text" && (made.schema.maxLength ?? 0) > 120 ? (
        <textarea className="input" value={text(value)} onChange={(event) => onChange(read(made, event.target.value))} {...shared} />
      ) : (
        <input
          className="input"
          type={INPUTS[made.kind]}
          step={made.kind === "integer" ? 1 : made.kind === "number" ? "any" : undefined}
          value={made.kind === "datetime" ? local(value) : text(value)}
          onChange={(event) => onChange(read(made, event.target.value))}
          {...shared}
        />
      )}
      <Below made={made} id={id} fault={fault} />
    </div>
  );
}

const INPUTS: Record<string, string> = {
  text: "text",
  number: "number",
  integer: "number",
  date: "date",
  datetime: "datetime-local",
};

function Option(props: { made: Field; option: unknown; value: unknown; name: string; onChange: (value: unknown) => void }) {
  const { made, option, value, name, onChange } = props;
  const isMany = made.kind === "choices";
  const chosen = isMany ? (Array.isArray(value) ? value : []) : [value];
  const isOn = chosen.includes(option);
  return (
    <label className="opt">
      <input
        type={isMany ? "checkbox" : "radio"}
        name={name}
        checked={isOn}
        onChange={() => onChange(isMany ? (isOn ? chosen.filter((each) => each !== option) : [...chosen, option]) : option)}
      />
      {optionText(option)}
    </label>
  );
}

function optionText(option: unknown): string {
  if (option === undefined) return "none";
  return typeof option === "string" ? option : JSON.stringify(option);
}

function Optional({ made }: { made: Field }) {
  return made.isRequired ? null : <span className="q3">optional</span>;
}

function Below({ made, id, fault }: { made: Field; id: string; fault?: string }) {
  if (fault) {
    return (
      <p className="err" id={`${id}-err`}>
        <Icon name="alert" /> {fault}
      </p>
    );
  }
  return made.hint ? (
    <p className="hint" id={`${id}-hint`}>
      {made.hint}
    </p>
  ) : null;
}

function RawJson(props: { shared: object; value: unknown; onChange: (value: unknown) => void }) {
  const [draft, setDraft] = useState(() => (props.value === undefined ? "" : JSON.stringify(props.value, null, 2)));
  const [isWrong, setWrong] = useState(false);
  return (
    <>
      <textarea
        className="input mono input--code"
        spellCheck={false}
        value={draft}
        placeholder="JSON"
        {...props.shared}
        data-unreadable={isWrong || undefined}
        onChange={(event) => {
          setDraft(event.target.value);
          try {
            props.onChange(event.target.value.trim() ? JSON.parse(event.target.value) : undefined);
            setWrong(false);
          } catch {
            setWrong(true);
          }
        }}
      />
      {isWrong && (
        <p className="err">
          <Icon name="alert" /> not yet JSON
        </p>
      )}
    </>
  );
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function local(value: unknown): string {
  if (typeof value !== "string" || !value) return "";
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function read(made: Field, typed: string): unknown {
  if (typed === "") return made.mayBeNull ? null : undefined;
  if (made.kind === "number" || made.kind === "integer") return Number(typed);
  if (made.kind === "datetime") {
    const at = new Date(typed);
    return Number.isNaN(at.getTime()) ? typed : at.toISOString();
  }
  return typed;
}
