// Drives every screen of a served page, in both themes and two widths: `node drive.mjs ADDRESS FOLDER [SCREEN…]`.
// Fails on a console error, a request elsewhere, a finding of axe, or a screen that does not come. Writes pictures.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { launch } from "./open.mjs";

const [, , address, folder, ...wanted] = process.argv;
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const faults = [];

const SCREENS = {
  overview: { at: "", see: "main h1" },
  runs: { at: "runs", see: "text=order-1" },
  filtered: { at: "runs?workflow=fails", see: "text=fails-1" },
  nothing: { at: "runs?tag=none", see: "text=Nothing matches" },
  waiting: { at: "runs/order-1", see: ".why" },
  failed: { at: "runs/fails-1", see: "aside >> text=ValueError" },
  held: { at: "runs/held-1", see: "aside >> text=Complete by hand" },
  graph: { at: "runs/order-1?view=graph&step=", see: ".react-flow__node" },
  steps: { at: "runs/order-1?view=steps", see: "tbody >> text=reserve" },
  logs: { at: "runs/order-1?view=logs&step=", see: "text=reserving" },
  history: { at: "runs/order-1?view=history&step=", see: "tbody tr" },
  family: { at: "runs/order-1?view=family&step=", see: "main h2, tbody" },
  data: { at: "runs/order-1?view=data", see: "text=Input" },
  missing: { at: "runs/none", see: "text=There is no run none", refused: 404 },
  inputs: { at: "inputs", see: "main a" },
  answer: { at: "inputs?run=order-1&wait=approve", see: "form.stack" },
  workflows: { at: "workflows", see: "tbody >> text=order" },
  workflow: { at: "workflows/order", see: "text=Start a run" },
  schedules: { at: "schedules", see: "text=nightly" },
  schedule: { at: "schedules?name=nightly", see: "aside >> text=Last firings" },
  stream: { at: "stream", see: "main h2" },
  gates: { at: "gates", see: "main h1" },
  workers: { at: "workers", see: "tbody >> text=stocktake" },
  later: { at: "later", see: "main h1" },
  settings: { at: "settings", see: "text=This browser" },
};

function watch(page, name, refused) {
  page.on("console", (message) => {
    const isExpected = refused !== undefined && message.text().includes(String(refused));
    if (message.type() === "error" && !isExpected) faults.push(`${name}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${name}: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(address) && !/^(data|blob):/.test(url)) faults.push(`${name}: a request to ${url}`);
  });
}

async function settle(page, see) {
  await page.waitForSelector(see, { timeout: 15_000 });
  await page.waitForFunction(() => !document.querySelector("[aria-busy]"), null, { timeout: 15_000 });
  await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect.getTiming().iterations !== Infinity).map((a) => a.finished)));
}

async function check(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(async (rules) => {
    const { violations } = await axe.run(document, { runOnly: rules });
    return violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).slice(0, 3).join("; ")}`);
  }, RULES);
  for (const each of found) faults.push(`${name}: axe: ${each}`);
}

async function look(browser, theme, width, height) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce" });
  for (const [name, { at, see, refused }] of Object.entries(SCREENS)) {
    if ((name === "graph" && width < 768) || (wanted.length && !wanted.includes(name))) continue;
    const title = `${name}-${theme}-${width}`;
    const page = await context.newPage();
    watch(page, title, refused);
    try {
      await page.goto(new URL(at, address).href);
      await settle(page, see);
      await check(page, title);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (wide > 0) faults.push(`${title}: ${wide} px wider than the window`);
    } catch (error) {
      faults.push(`${title}: ${error.message.split("\n")[0]}`);
    }
    await page.screenshot({ path: path.join(folder, `${title}.png`) });
    await page.close();
  }
  await context.close();
}

/** What a person does, by keyboard alone: find the failed run, retry it; answer a question; pause a schedule; jump. */
async function act(browser) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  watch(page, "acts");
  const keys = async (...pressed) => {
    for (const key of pressed) await page.keyboard.press(key);
  };
  const step = async (what, run) => {
    try {
      await run();
    } catch (error) {
      faults.push(`acts: ${what}: ${error.message.split("\n")[0]}`);
      await page.screenshot({ path: path.join(folder, `fault-${what.replaceAll(" ", "-")}.png`) });
    }
  };
  await page.goto(address);
  await settle(page, "main h1");
  await step("go to runs and filter", async () => {
    await keys("g", "r");
    await settle(page, "text=order-1");
    await keys("/");
    await page.keyboard.type("status:failed");
    await keys("Enter");
    await page.waitForURL(/status=/);
    await settle(page, "text=fails-1");
    await keys("Escape");
  });
  await step("open the failed run on its failing step", async () => {
    await keys("j", "Enter");
    await page.waitForURL(/runs\/fails-1/);
    await settle(page, "aside >> text=ValueError");
  });
  await step("retry it with a reason", async () => {
    await keys("r");
    await page.waitForSelector("dialog[open]");
    await check(page, "retry dialog");
    await page.screenshot({ path: path.join(folder, "act-retry.png") });
    await page.keyboard.type("the bank is back");
    const sent = page.waitForResponse((answer) => answer.url().includes("/retry"));
    await keys("Enter");
    const answer = await sent;
    if (answer.status() !== 202) throw new Error(`retry was answered ${answer.status()}: ${await answer.text()}`);
    await page.waitForSelector("dialog[open]", { state: "detached" });
  });
  await step("complete a held step by hand", async () => {
    await page.goto(new URL("runs/held-1", address).href);
    await settle(page, "aside >> text=Complete by hand");
    await page.getByRole("button", { name: "Complete by hand" }).click();
    await page.waitForSelector("dialog[open] textarea");
    await check(page, "complete dialog");
    await page.locator("dialog[open] textarea").fill('{"receipt": ');
    await page.waitForSelector("dialog[open] >> text=This is not JSON");
    await page.locator("dialog[open] textarea").fill('{"receipt": "R-1"}');
    await page.screenshot({ path: path.join(folder, "act-complete.png") });
    const sent = page.waitForResponse((answer) => answer.url().includes("/complete"));
    await page.getByRole("button", { name: "Complete charge" }).click();
    const answer = await sent;
    if (answer.status() !== 202) throw new Error(`completing was answered ${answer.status()}: ${await answer.text()}`);
    await page.waitForSelector("dialog[open]", { state: "detached" });
    await page.evaluate(() => document.activeElement?.blur());
  });
  await step("find a command in the palette", async () => {
    await keys("Control+k");
    await page.waitForSelector("dialog[open] [role=combobox]");
    await check(page, "palette");
    await page.keyboard.type("inp");
    await page.screenshot({ path: path.join(folder, "act-palette.png") });
    await keys("Enter");
    await page.waitForURL(/inputs/);
    await settle(page, "form.stack");
  });
  await step("approve", async () => {
    const sent = page.waitForResponse((answer) => answer.url().includes("/answer"));
    await keys("a");
    const answer = await sent;
    if (answer.status() !== 202) throw new Error(`the answer was answered ${answer.status()}: ${await answer.text()}`);
    await page.waitForSelector("text=Nobody is asked anything");
  });
  await step("pause a schedule", async () => {
    await keys("g", "s");
    await settle(page, "text=nightly");
    await page.getByRole("switch").focus();
    await keys("Space");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.type("stocktake");
    await keys("Enter");
    await page.waitForSelector("dialog[open]", { state: "detached" });
    await page.waitForSelector('[role=switch][aria-checked="false"]');
    await page.screenshot({ path: path.join(folder, "act-paused.png") });
  });
  await step("cancel all that match", async () => {
    await page.goto(new URL("runs?workflow=order", address).href);
    await settle(page, ".bulk");
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.waitForSelector("dialog[open]");
    await page.screenshot({ path: path.join(folder, "act-bulk.png") });
    await page.keyboard.type("a test");
    await keys("Enter");
    await page.waitForSelector(".bulk >> text=completed");
  });
  await step("list the keys", async () => {
    await page.evaluate(() => document.activeElement?.blur());
    await keys("?");
    await page.waitForSelector("dialog[open] >> text=search and commands");
    await check(page, "keys");
  });
  await context.close();
}

fs.mkdirSync(folder, { recursive: true });
const browser = await launch();
try {
  for (const theme of ["light", "dark"]) {
    await look(browser, theme, 1440, 900);
    await look(browser, theme, 390, 844);
  }
  await look(browser, "light", 1920, 1080);
  await act(browser);
} finally {
  await browser.close();
}
for (const each of faults) console.log(each);
process.exitCode = faults.length ? 1 : 0;
