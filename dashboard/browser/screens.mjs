// Every screen: where it is, and what is seen on it once it stands.
export const SCREENS = {
  overview: { at: "", see: "main >> text=Recover all" },
  runs: { at: "runs", see: "main >> text=order-1" },
  filtered: { at: "runs?workflow=fails", see: "main >> text=fails-1" },
  nothing: { at: "runs?tag=none", see: "main >> text=Nothing matches" },
  waiting: { at: "runs/order-1", see: "h1:has-text('order-1')" },
  failed: { at: "runs/fails-1", see: "aside >> text=ValueError" },
  held: { at: "runs/held-1", see: "aside >> text=Complete by hand" },
  graph: { at: "runs/order-1?view=graph&step=", see: ".react-flow__node", from: 768 },
  steps: { at: "runs/order-1?view=steps&step=", see: "tbody >> text=reserve" },
  logs: { at: "runs/order-1?view=logs&step=", see: "main >> text=reserving" },
  history: { at: "runs/order-1?view=history&step=", see: "main tbody tr >> text=reserve" },
  family: { at: "runs/order-1?view=family&step=", see: "main >> text=no children" },
  definition: { at: "runs/order-1?view=definition&step=", see: "main h2 >> text=As it was registered" },
  data: { at: "runs/order-1?view=data&step=", see: "main h2 >> text=Input" },
  missing: { at: "runs/none", see: "main >> text=There is no run none", refused: 404 },
  inputs: { at: "inputs", see: "main h1 >> text=Inputs" },
  answer: { at: "inputs?run=order-1&wait=approve", see: "form.stack" },
  workflows: { at: "workflows", see: "main tbody >> text=order" },
  workflow: { at: "workflows/order", see: "main >> text=Start a run" },
  schedules: { at: "schedules", see: "main >> text=nightly" },
  schedule: { at: "schedules?name=nightly", see: "aside >> text=Last firings" },
  triggers: { at: "triggers", see: "main >> text=On events" },
  trigger: { at: "triggers?trigger=restock", see: "aside >> text=stock.low" },
  stream: { at: "stream", see: "main h1 >> text=Stream" },
  gates: { at: "gates", see: "main tbody >> text=bank" },
  gate: { at: "gates?name=bank", see: "aside >> text=Waiting, in order" },
  admissions: { at: "admissions", see: "main tbody >> text=alone" },
  admission: { at: "admissions?name=alone", see: "aside >> text=alone-2" },
  waits: { at: "runs/alone-2", see: "dl a[href*='admissions?name=alone']" },
  merged: { at: "runs/once-2", see: "dl a >> text=once-1" },
  workers: { at: "workers", see: "main tbody >> text=pick" },
  later: { at: "later", see: "main h1 >> text=Later" },
  operations: { at: "operations", see: "main h1 >> text=Operations" },
  settings: { at: "settings", see: "main >> text=This browser" },
};

// What each is looked at in: theme, width, height, and the rules it is held to where these are not all.
export const LOOKS = [
  { theme: "light", width: 1440, height: 900 },
  { theme: "dark", width: 390, height: 844 },
];
export const MORE_LOOKS = [
  { theme: "dark", width: 1440, height: 900 },
  { theme: "light", width: 390, height: 844 },
  { theme: "light", width: 1280, height: 800, only: [] },
  { theme: "light", width: 1920, height: 1080, only: [] },
];
