/** A form from a JSON Schema. Faults name the limit and stand beside their field; the server is the judge. */

import { useId, useState } from "react";

import type { Field } from "../pure/form";
import { Icon } from "./basics";

/** Whether all that was typed as JSON is JSON; the first that is not gets the focus. */
export function isReadable(form: HTMLFormElement): boolean {
  const wrong = form.querySelector<HTMLTextAreaElement>("textarea[data-unreadable]");
  wrong?.focus();
  return !wrong;
}

interface Props {
  made: Field;
  value: unknown;
  onChange: (value: unknown) => void;
  faults: Record<string, string>;
  path?: string;
}

export function Fields(props: Props) {
  const { made, value, onChange, faults, path = "" } = props;
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
        onChange(changed);
      }}
    />
  ));
  if (!path) return <div className="stack">{inner}</div>;
  return (
    <fieldset className="stack fields">
      <legend className="med">{made.label}</legend>
      {inner}
    </fieldset>
  );
}

function One({ made, value, onChange, faults, path = "" }: Props) {
  const id = useId();
  const fault = faults[path];
  const label = made.label || "Answer";
  const invalid = fault ? { "aria-invalid": true, "aria-describedby": `${id}-err` } : {};
  const shared = { id, "aria-required": made.isRequired, ...invalid };
  if (made.kind === "choice" || made.kind === "choices") {
    return (
      <fieldset className="field">
        <legend className="med">
          {label} <Optional made={made} />
        </legend>
        <div className="opts opts--two">
          {made.options.map((option, i) => (
            <Option key={i} made={made} option={option} value={value} name={id} onChange={onChange} />
          ))}
        </div>
        <Below made={made} id={id} fault={fault} />
      </fieldset>
    );
  }
  if (made.kind === "switch") {
    return (
      <div className="field">
        <label className="opt">
          <input type="checkbox" checked={value === true} onChange={(event) => onChange(event.target.checked)} {...shared} />
          {label}
        </label>
        <Below made={made} id={id} fault={fault} />
      </div>
    );
  }
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} <Optional made={made} />
      </label>
      {made.kind === "json" || made.kind === "object" ? (
        <RawJson shared={shared} value={value} onChange={onChange} />
      ) : made.kind === "text" && (made.schema.maxLength ?? 0) > 120 ? (
        <textarea className="input" value={text(value)} onChange={(event) => onChange(event.target.value)} {...shared} />
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
      {typeof option === "string" ? option : JSON.stringify(option)}
    </label>
  );
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
  return made.hint ? <p className="hint">{made.hint}</p> : null;
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
  if (made.kind === "datetime") return new Date(typed).toISOString();
  return typed;
}
