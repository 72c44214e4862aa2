/** Long texts as lines that can be drawn one by one. */

/** Return the lines of a text, those longer than `wide` characters in pieces. */
export function lines(text: string, wide: number): string[] {
  const found: string[] = [];
  for (const line of text.split("\n")) {
    if (line.length <= wide) found.push(line);
    else for (let at = 0; at < line.length; at += wide) found.push(line.slice(at, at + wide));
  }
  return found;
}

/** Return the beginning of a value as JSON, without looking at more of it than that takes. */
export function beginning(value: unknown, length: number): string {
  let text = "";
  const add = (each: unknown): void => {
    if (text.length >= length) return;
    if (typeof each === "string") text += JSON.stringify(each.slice(0, length));
    else if (Array.isArray(each)) {
      text += "[";
      for (let i = 0; i < each.length && text.length < length; i++) {
        if (i) text += ",";
        add(each[i]);
      }
      text += "]";
    } else if (typeof each === "object" && each !== null) {
      text += "{";
      let isFirst = true;
      for (const name in each) {
        if (text.length >= length) break;
        text += `${isFirst ? "" : ","}${JSON.stringify(name)}:`;
        isFirst = false;
        add((each as Record<string, unknown>)[name]);
      }
      text += "}";
    } else text += JSON.stringify(each) ?? "null";
  };
  add(value);
  return text.slice(0, length);
}
