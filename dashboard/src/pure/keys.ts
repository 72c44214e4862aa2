/** Keys and sequences of keys, such as `g r`. Single letters work outside of fields alone. */

export type Bindings = Record<string, () => void>;

/** How long the second key of a sequence may take. */
const PATIENCE = 1_200;

interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** Return a function that takes presses and says which binding each completes. */
export function reader(): (press: Press, names: readonly string[], at: number) => string | undefined {
  let held = "";
  let since = 0;
  return (press, names, at) => {
    if (press.altKey || ["Shift", "Control", "Meta", "Alt"].includes(press.key)) return undefined;
    const key = press.ctrlKey || press.metaKey ? `Ctrl ${press.key.toLowerCase()}` : press.key;
    const sequence = held && at - since <= PATIENCE ? `${held} ${key}` : "";
    held = "";
    if (sequence && names.includes(sequence)) return sequence;
    if (names.some((name) => name.startsWith(`${key} `)) && !press.ctrlKey && !press.metaKey) {
      held = key;
      since = at;
    }
    return names.includes(key) ? key : undefined;
  };
}

/** Whether a press belongs to what is being typed into. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}
