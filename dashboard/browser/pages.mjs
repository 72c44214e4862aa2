// What every drive of the page is made of: a page that notes its faults, and waits for what is to be seen.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const faults = [];

/** A page on the clock of the server, which notes console errors and requests elsewhere under its present name. */
export class Drive {
  name = "";
  refused;

  static async open(browser, address, folder, size = { width: 1440, height: 900 }) {
    const context = await browser.newContext({ viewport: size, reducedMotion: "reduce" });
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    const drive = new Drive(page, address, folder);
    const { at } = await (await fetch(new URL("api/v1/overview", address))).json();
    await page.clock.setSystemTime(new Date(at));
    page.on("console", (message) => {
      const isExpected = drive.refused !== undefined && message.text().includes(String(drive.refused));
      if (message.type() === "error" && !isExpected) drive.fault(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => drive.fault(error.message));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !/^(data|blob):/.test(url)) drive.fault(`a request to ${url}`);
    });
    await page.goto(address);
    await drive.see("main h1");
    return drive;
  }

  constructor(page, address, folder) {
    this.page = page;
    this.address = address;
    this.folder = folder;
  }

  fault(text) {
    faults.push(`${this.name}: ${text}`);
  }

  /** Go where a link would lead, without loading the page again. */
  async go(at) {
    await this.page.evaluate((to) => history.pushState({}, "", to), new URL(at, this.address).href);
  }

  /** Wait for what is to be seen, and until nothing is on its way. */
  async see(selector, timeout = 60_000) {
    await this.page.waitForSelector(selector, { timeout });
    await this.page.waitForFunction(() => !document.querySelector("[aria-busy]"), null, { timeout });
    await this.page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect.getTiming().iterations !== Infinity).map((a) => a.finished)));
  }

  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Hold the page to the rules of axe, or to some alone. */
  async check(only = undefined) {
    if (only?.length === 0) return;
    if (!(await this.page.evaluate(() => "axe" in window))) await this.page.evaluate(axe);
    const found = await this.page.evaluate(async (wanted) => {
      const { violations } = await window.axe.run(document, { runOnly: wanted });
      return violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).slice(0, 3).join("; ")}`);
    }, only ?? RULES);
    for (const each of found) this.fault(`axe: ${each}`);
  }

  async picture(name) {
    await this.page.screenshot({ path: path.join(this.folder, `${name}.png`) });
  }

  /** Hold the page to the rules of axe in both themes, and take a picture of each. */
  async look(name) {
    for (const colorScheme of ["dark", "light"]) {
      await this.page.emulateMedia({ colorScheme });
      await this.check();
      await this.picture(`${name}-${colorScheme}`);
    }
  }

  /** Do something, and note that it went wrong with a picture. */
  async step(what, run) {
    this.name = what;
    try {
      await run();
    } catch (error) {
      this.fault(error.message.split("\n")[0]);
      await this.picture(`fault-${what.replaceAll(" ", "-")}`);
      await this.page.keyboard.press("Escape");
    }
  }

  /** Do something that sends a request, and hold its answer to being accepted. */
  async sends(part, run) {
    const sent = this.page.waitForResponse((answer) => answer.url().includes(part) && answer.request().method() !== "GET");
    await run();
    const answer = await sent;
    if (![200, 201, 202].includes(answer.status())) throw new Error(`${part} was answered ${answer.status()}: ${await answer.text()}`);
  }

  async close() {
    await this.page.context().close();
  }
}
