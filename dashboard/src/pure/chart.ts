/** The line of a chart from its values, the greatest at the top; values that are all zero lie on the ground. */

export function line(values: readonly number[], width: number, height: number): string {
  const most = Math.max(1, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  return values.map((value, i) => `${i ? "L" : "M"}${round(i * step)} ${round(height - (value / most) * height)}`).join(" ");
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
