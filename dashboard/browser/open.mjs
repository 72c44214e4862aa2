// A browser without a screen, from npm alone, or the one that CHROMIUM names.
import chromium from "@sparticuz/chromium";
import { chromium as driver } from "playwright-core";

// What a process ends with where no browser starts, as tools of tests say that they have nothing to test.
export const NO_BROWSER = 77;

export async function launch() {
  try {
    return await driver.launch({
      executablePath: process.env.CHROMIUM ?? (await chromium.executablePath()),
      args: ["--no-sandbox", "--headless=shell", "--disable-dev-shm-usage", "--disable-gpu"],
    });
  } catch (error) {
    const why = error.message.split("\n").find((line) => /error while loading|ENOENT|not found/i.test(line)) ?? error.message.split("\n")[0];
    console.log(`no Chromium starts here: ${why.trim()}`);
    process.exit(NO_BROWSER);
  }
}
