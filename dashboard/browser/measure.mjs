// Measures a served page: `node measure.mjs ADDRESS GIVEN`, where GIVEN is JSON: the ids of runs, `wide` (of very many steps,
// unfinished), `logs` (of very many lines) and `heavy` (with a large output); the number of `passes`, and of `frames` that each
// scrolls. Prints figures as a line of JSON. Times are in milliseconds from the navigation to what is drawn; a frame is the time
// from one drawing to the next, and of several passes the one in the middle counts. Without arguments it says whether a
// browser starts.
import { launch } from "./open.mjs";

const [, , address, given] = process.argv;
const PATIENCE = { timeout: 120_000 };

/** Note when the first of a selector has been drawn. */
function noteFirst(selector) {
  const watcher = new MutationObserver(() => {
    if (!document.querySelector(selector)) return;
    watcher.disconnect();
    requestAnimationFrame(() => setTimeout(() => (window.firstAt = performance.now())));
  });
  watcher.observe(document, { childList: true, subtree: true });
}

/** Scroll a region down by hand, then to places far apart; returns the longest frame. */
async function longestWhileScrolling({ selector, frames }) {
  const region = document.querySelector(selector);
  const scroller = region.scrollHeight > region.clientHeight + 1 ? region : region.parentElement;
  const frame = () => new Promise(requestAnimationFrame);
  scroller.scrollTop = 0;
  for (let i = 0; i < 10; i++) await frame();
  let last = await frame();
  let longest = 0;
  const next = async () => {
    const at = await frame();
    longest = Math.max(longest, at - last);
    last = at;
  };
  // Nothing is asked of the region in between: to know its place the browser would have to lay it out once more.
  for (let i = 1; i <= frames; i++) {
    scroller.scrollTop = 240 * i;
    await next();
  }
  const whole = scroller.scrollHeight;
  for (let i = 0; i < frames / 3; i++) {
    scroller.scrollTop = (((i * 7) % 30) / 30) * whole;
    await next();
  }
  return longest;
}

/** Type into a field; returns the longest frame until all is found. */
async function longestWhileTyping({ selector, frames }) {
  const field = document.querySelector(selector);
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  let last = await new Promise(requestAnimationFrame);
  let longest = 0;
  for (const text of ["9", "99", "99 ", "99 o", ""]) {
    set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    for (let i = 0; i < frames / 3; i++) {
      const at = await new Promise(requestAnimationFrame);
      longest = Math.max(longest, at - last);
      last = at;
    }
  }
  return longest;
}

const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];

class Measured {
  figures = {};

  constructor(browser, passes, frames) {
    this.browser = browser;
    this.passes = passes;
    this.shown = frames;
  }

  /** Open an address anew, as often as there are passes; notes when the selector was drawn. Returns the last page. */
  async open(at, name, selector, passes = this.passes) {
    const times = [];
    for (let pass = 0; ; ) {
      const context = await this.browser.newContext({ viewport: { width: 1440, height: 900 } });
      const page = await context.newPage();
      await page.addInitScript(noteFirst, selector);
      await page.goto(new URL(at, address).href, { waitUntil: "commit" });
      await page.waitForFunction(() => window.firstAt, null, PATIENCE);
      times.push(await page.evaluate(() => window.firstAt));
      if (++pass === passes) {
        this.figures[`${name}_ms`] = middle(times);
        await page.waitForFunction(() => !document.querySelector("[aria-busy]"), null, PATIENCE);
        return page;
      }
      await context.close();
    }
  }

  async frames(page, name, measure, selector) {
    const longest = [];
    for (let pass = 0; pass < this.passes; pass++) longest.push(await page.evaluate(measure, { selector, frames: this.shown }));
    this.figures[`${name}_frame_ms`] = middle(longest);
  }
}

const browser = await launch();
try {
  if (address) {
    const { wide, logs, heavy, passes, frames } = JSON.parse(given);
    const measured = new Measured(browser, passes, frames);
    const ends = async (page) => page.context().close();
    const bars = ".tl__lanes .bar, .tl__lanes .bar--wait, .tl__lanes .bar--group";
    let page = await measured.open(`runs/${wide}`, "first_bar", bars);
    await measured.frames(page, "lanes", longestWhileScrolling, ".tl__lanes");
    await ends(page);
    page = await measured.open(`runs/${wide}?view=steps`, "steps", "main tbody tr", 1);
    await measured.frames(page, "steps", longestWhileScrolling, ".scroll.table");
    await ends(page);
    page = await measured.open(`runs/${wide}?view=history`, "history", "main tbody tr", 1);
    await measured.frames(page, "history", longestWhileScrolling, ".scroll.table");
    await ends(page);
    page = await measured.open(`runs/${logs}?view=logs`, "logs", ".logs > div");
    await measured.frames(page, "logs", longestWhileScrolling, ".logs");
    await measured.frames(page, "find", longestWhileTyping, "input[aria-label='Find in logs']");
    await ends(page);
    page = await measured.open(`runs/${heavy}?view=data`, "value", ".json");
    await page.getByRole("button", { name: /^Show all/ }).click();
    await page.evaluate(() => new Promise(requestAnimationFrame));
    await measured.frames(page, "value", longestWhileScrolling, ".json [aria-label=output]");
    await ends(page);
    page = await measured.open("runs", "list", "main tbody tr a");
    await measured.frames(page, "list", longestWhileScrolling, ".scroll.table");
    await ends(page);
    console.log(JSON.stringify(measured.figures));
  }
} finally {
  await browser.close();
}
